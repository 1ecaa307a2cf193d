import type { MaybePromise } from './maybe-promise.js';
import type { RealtimeIdentity } from './identity.js';

/** A publish of a client, as a detector sees it. */
export interface SpamContext {
  /** As it was verified; `undefined` for an anonymous client. */
  readonly user: RealtimeIdentity | undefined;
  /** Lineage of the session: the same over all connections that continue it. */
  readonly session: string;
  /** Address as limits count addresses (of IPv6: the network). */
  readonly address: string;
  /** Name of the channel. */
  readonly channel: string;
  /** Pattern of the channel's definition, e.g. `rooms.:room`. */
  readonly pattern: string;
  /** Name of the event. */
  readonly event: string;
  /** As the client sent it, before pipes and handlers: anything. Do not change it. */
  readonly payload: unknown;
  /** When it came, in milliseconds of a clock that never goes back; not a wall clock. */
  readonly ts: number;
}

/** `allow` lets the publish pass, `refuse` refuses this one, `escalate` refuses it and takes the client one step further. */
export type SpamVerdict = 'allow' | 'refuse' | 'escalate';

/**
 * Decides about each publish of a client, after its authorization and before its handler. What is sent again under its id is not asked
 * again. One that throws, rejects, or takes longer than `handlerTimeout` has decided nothing: see `onFailure`.
 *
 * @example
 * const noLinks: SpamDetector = {
 *   judge: ({ payload }) => (JSON.stringify(payload).includes('http') ? 'refuse' : 'allow'),
 * };
 */
export interface SpamDetector {
  /** Called once for each publish; synchronously where it can. */
  judge(context: SpamContext): MaybePromise<SpamVerdict>;
}

/**
 * What happens to a client at one strike: `warn` refuses the publish, `slow` lets the user publish once in `everyMs`, `mute` lets the
 * user only read, `ban` keeps the user out; each everywhere, for `forMs`.
 */
export type SpamStep =
  | { readonly step: 'warn' }
  | { readonly step: 'slow'; readonly everyMs: number; readonly forMs: number }
  | { readonly step: 'mute' | 'ban'; readonly forMs: number };

/** What a node does against spam. */
export interface SpamPolicy {
  readonly detector: SpamDetector;
  /** Patterns, as in `@Channel`, of the channels whose publishes are judged; `undefined` for all. */
  readonly channels?: readonly string[] | undefined;
  /** From the first strike on; further strikes repeat the last. */
  readonly steps: readonly SpamStep[];
  /** Time after which one strike is forgotten, in milliseconds. */
  readonly decayMs: number;
  /** What happens to a publish about which the detector decided nothing. */
  readonly onFailure: 'allow' | 'refuse';
}

/** One publish that was refused as spam. */
export interface ObservedSpam {
  /** Id of the user; `undefined` for an anonymous client. */
  readonly user: string | undefined;
  /** Lineage of the session. */
  readonly session: string;
  /** Address as limits count addresses. */
  readonly address: string;
  /** Name of the channel. */
  readonly channel: string;
  /** Pattern of its definition. */
  readonly pattern: string;
  /** The step that was taken; `undefined` where the publish was refused and nothing else. */
  readonly step: SpamStep['step'] | undefined;
  /** Strikes of the client, this one included. */
  readonly strikes: number;
}
