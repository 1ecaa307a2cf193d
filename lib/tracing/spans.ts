import { SpanStatusCode, type Attributes, type Link, type Span, type SpanContext } from '@opentelemetry/api';
import { attempt, type MaybePromise } from '../core/ports/maybe-promise.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { TracingSettings } from './options.js';

/** Value of `messaging.system`. */
const SYSTEM = 'nestjs_realtime';
/** What says that this server, or what it needs, failed; other codes are answers that a client has to expect. */
const FAILURES: ReadonlySet<string> = new Set(['internal', 'unavailable', 'timeout', 'outcome_unknown']);

/** How an operation is called in `messaging.operation.type`; the others have none there. */
const TYPES: Readonly<Record<string, string>> = {
  publish: 'send',
  signal: 'send',
  history: 'receive',
  deliver: 'process',
};

/** The channel that something is done on. */
export interface Destination {
  readonly pattern: string | undefined;
  readonly channel: string | undefined;
}

/** Attributes of an operation on a channel, as the conventions for messaging name them. */
export function messaging(
  operation: string,
  { pattern, channel }: Destination,
  { channelNames }: Pick<TracingSettings, 'channelNames'>,
): Attributes {
  const type = TYPES[operation];
  // By assignments: this is done for each command, also of those that are not sampled.
  const attributes: Attributes = { 'messaging.system': SYSTEM, 'messaging.operation.name': operation };
  if (type !== undefined) attributes['messaging.operation.type'] = type;
  if (pattern !== undefined) attributes['messaging.destination.template'] = pattern;
  if (channelNames && channel !== undefined) attributes['messaging.destination.name'] = channel;
  return attributes;
}

/** The name of a span: few there are, as a pattern is the application's. */
export function nameOf(operation: string, pattern: string | undefined): string {
  return pattern === undefined || pattern === '' ? operation : `${operation} ${pattern}`;
}

/** Links to those of two spans that are there. */
export function linksTo(first: SpanContext | undefined, second?: SpanContext): Link[] {
  const links: Link[] = [];
  if (first !== undefined) links.push({ context: first });
  if (second !== undefined) links.push({ context: second });
  return links;
}

/** @param failure the code of what went wrong; no text of an error, which may hold what is secret. */
export function endSpan(span: Span, failure?: string): void {
  if (failure !== undefined) {
    span.setAttribute('error.type', failure);
    if (FAILURES.has(failure)) span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** Ends the span with the work. @param failed is called with the code of an error. */
export function ending<T>(
  span: Span,
  work: () => MaybePromise<T>,
  failed?: (code: string) => void,
): MaybePromise<T> {
  return attempt(
    work,
    (value) => {
      endSpan(span);
      return value;
    },
    (error) => {
      const code = error instanceof RealtimeError ? error.code : 'internal';
      endSpan(span, code);
      failed?.(code);
      throw error;
    },
  );
}
