import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { Authorizations } from './authorization-builder.js';
import type { ChannelHost } from './channel-methods.js';
import { foreignPublicMetadata } from './foreign-public.js';
import type { HandlerIndex } from './handler-index.js';

/** Reports what a channel class declares without the authorization that it needs, and the other way round (G9, G10). */
export function checkDeclarations(
  { metatype }: ChannelHost,
  index: HandlerIndex,
  authorize: Authorizations,
  signals: ReadonlySet<string>,
  problems: BootProblems,
): void {
  const report = (problem: string, remedy: string): void => problems.add(metatype.name, problem, remedy);
  if (authorize.subscribe === undefined) {
    const foreign = foreignPublicMetadata(metatype);
    const hint = foreign === undefined ? '' : ` Its metadata "${foreign}" opens HTTP routes, not channels.`;
    report(
      `has no authorization for "subscribe".${hint}`,
      "Add @Authorize('subscribe') to a method, or @Authorize(Policy) or @PublicChannel() to the class.",
    );
  }
  if (index.publish.size > 0 && authorize.publish === undefined) {
    const events = [...index.publish.keys()].join(', ');
    report(`has @OnPublish (${events}) but no @Authorize('publish').`, 'Declare who may publish.');
  }
  // A policy may serve several classes, so only what the class itself declares is a contradiction.
  if (index.publish.size === 0 && index.authorize.has('publish')) {
    report(
      "has @Authorize('publish') but no @OnPublish.",
      'Declare the event names that clients may publish.',
    );
  }
  if (signals.size > 0 && authorize.signal === undefined) {
    report("has signals but no @Authorize('signal').", 'Declare who may signal.');
  }
  if (signals.size === 0 && index.authorize.has('signal')) {
    report(
      "has @Authorize('signal') but no signals.",
      "List them: @Channel(pattern, { signals: ['typing'] }).",
    );
  }
}
