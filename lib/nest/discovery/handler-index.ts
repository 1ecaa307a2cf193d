import 'reflect-metadata';
import type { ChannelAction, ChannelBehaviour } from '../../core/ports/channel-definition.js';
import { RESERVED_EVENTS } from '../../core/ports/erasure.js';
import { PUBLIC_CHANNEL_METADATA } from '../decorators/authorize.decorator.js';
import type { HandlerDeclaration } from '../decorators/handlers.decorator.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { declaredMethods, methodsOf, type ChannelHost, type DeclaredMethod } from './channel-methods.js';

const MOMENT_NAMES = {
  snapshot: '@Snapshot()',
  subscribed: '@OnSubscribe()',
  unsubscribed: '@OnUnsubscribe()',
} as const;

/** What the methods of a channel class declare, each declaration at most once. */
export class HandlerIndex {
  readonly authorize = new Map<ChannelAction, DeclaredMethod>();
  readonly publish = new Map<string, DeclaredMethod>();
  readonly requests = new Map<string, DeclaredMethod>();
  readonly connectionRequests = new Map<string, DeclaredMethod>();
  readonly moments = new Map<keyof typeof MOMENT_NAMES, DeclaredMethod>();

  constructor(
    private readonly host: ChannelHost,
    private readonly problems: BootProblems,
  ) {
    for (const declared of declaredMethods(host, problems)) {
      const [map, key, name] = this.placeOf(declared.declaration);
      const first = map.get(key);
      if (key.startsWith(RESERVED_EVENTS) && map === this.publish)
        this.report(
          `declares ${name} on ${declared.name}: names that begin with "$" are the library's.`,
          'Choose another name.',
        );
      else if (first === undefined) map.set(key, declared);
      else this.report(`declares ${name} on ${first.name} and on ${declared.name}.`, 'Keep one of them.');
    }
  }

  /** Reports declarations without the authorization that they need, and authorizations of nothing (G9). */
  check(authorize: ChannelBehaviour['authorize'], signals: ReadonlySet<string>): void {
    if (authorize.subscribe === undefined) {
      const foreign = foreignPublicMetadata(this.host.metatype);
      const hint = foreign === undefined ? '' : ` Its metadata "${foreign}" opens HTTP routes, not channels.`;
      this.report(
        `has no authorization for "subscribe".${hint}`,
        "Add @Authorize('subscribe') to a method, or @Authorize(Policy) or @PublicChannel() to the class.",
      );
    }
    if (this.publish.size > 0 && authorize.publish === undefined) {
      const events = [...this.publish.keys()].join(', ');
      this.report(`has @OnPublish (${events}) but no @Authorize('publish').`, 'Declare who may publish.');
    }
    // A policy may serve several classes, so only what the class itself declares is a contradiction.
    if (this.publish.size === 0 && this.authorize.has('publish')) {
      this.report(
        "has @Authorize('publish') but no @OnPublish.",
        'Declare the event names that clients may publish.',
      );
    }
    for (const signal of signals)
      if (signal.startsWith(RESERVED_EVENTS))
        this.report(
          `lists the signal ${JSON.stringify(signal)}: names that begin with "$" are the library's.`,
          'Choose another name.',
        );
    if (signals.size > 0 && authorize.signal === undefined)
      this.report("has signals but no @Authorize('signal').", 'Declare who may signal.');
    if (signals.size === 0 && this.authorize.has('signal')) {
      this.report(
        "has @Authorize('signal') but no signals.",
        "List them: @Channel(pattern, { signals: ['typing'] }).",
      );
    }
  }

  /** The map and key of a declaration, and its name in errors. */
  private placeOf(declaration: HandlerDeclaration): [Map<string, DeclaredMethod>, string, string] {
    switch (declaration.kind) {
      case 'authorize':
        return [this.authorize, declaration.action, `@Authorize('${declaration.action}')`];
      case 'publish':
        return [this.publish, declaration.event, `@OnPublish('${declaration.event}')`];
      case 'request': {
        const map = declaration.scope === 'connection' ? this.connectionRequests : this.requests;
        return [map, declaration.event, `the request '${declaration.event}'`];
      }
      default:
        return [this.moments, declaration.kind, MOMENT_NAMES[declaration.kind]];
    }
  }

  private report(problem: string, remedy: string): void {
    this.problems.add(this.host.metatype.name, problem, remedy);
  }
}

/**
 * Name of a metadata that looks like the `@Public()` of an application's own HTTP guard, on the class or one of its
 * methods: its author expected it to open the channel.
 */
function foreignPublicMetadata(type: ChannelHost['metatype']): string | undefined {
  for (const target of [type, ...methodsOf(type).map(([, method]) => method)]) {
    for (const key of Reflect.getMetadataKeys(target) as (string | symbol)[]) {
      const name = typeof key === 'symbol' ? (key.description ?? '') : key;
      const isForeign = key !== PUBLIC_CHANNEL_METADATA && /public/i.test(name);
      if (isForeign && Reflect.getMetadata(key, target) === true) return name;
    }
  }
  return undefined;
}
