import type { InjectionToken } from '@nestjs/common';
import type { TimeLeft } from '../core/async/time-left.js';
import type { OnlineUsers } from '../core/engine/cluster/online-users.js';
import type { EventPlace } from '../core/log/erasures.js';
import type { Clock } from '../core/ports/clock.js';
import type { Entropy } from '../core/ports/entropy.js';
import type { EngineLogger } from '../core/ports/logger.js';
import type { HoldsPolicy } from '../core/ports/settings.js';
import type { BrokerTransitions } from '../core/ports/transitions.js';
import type { BootProblems } from './errors/realtime-boot-error.js';

/** A provider of the application that hooks name. */
export interface FoundProvider {
  /** Of its class, or its token. */
  readonly name: string;
  readonly instance: object;
}

/** What hooks run on. */
export interface HooksSite {
  /** Those of {@link RealtimeHooks.providers}, in this order; `undefined` for one that was not found. */
  readonly providers: readonly (FoundProvider | undefined)[];
  /** Of the broker; always there where the policy names channels. */
  readonly transitions: BrokerTransitions | undefined;
  /** Which of some users have a session on any node. */
  readonly online: (users: readonly string[]) => Promise<OnlineUsers>;
  /** Whether what was appended there was erased, as far as this node remembers (G29). */
  readonly isErased: (place: EventPlace) => boolean;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
}

/** A notice that was published for a user. */
export interface PublishedNotice {
  readonly event: string;
  readonly id: string;
  readonly payload: unknown;
  /** Where the log has it. */
  readonly place: EventPlace;
}

/** What became of the events of a target, for logs and metrics. */
export interface TargetStatus {
  readonly name: string;
  /** Events that wait, those under way included. */
  readonly waiting: number;
  /** What they count as. */
  readonly bytes: number;
  /** Since the start. */
  readonly taken: number;
  /** Those that it did not get: too old, no room, or refused for good. */
  readonly givenUp: number;
  /** `failing`: called for one event at a time. `ended`: it wants nothing any more. */
  readonly state: 'working' | 'failing' | 'ended';
}

/** Hooks that were opened. */
export interface HooksRun {
  /** Begins to call them. */
  start(): void;
  /** A notice was published for a user. */
  onNotice(user: string, notice: PublishedNotice): void;
  /** Events of a channel were erased: what waits of them is not handed over (G29). */
  onErased(channel: string, seqs: readonly number[]): void;
  /** Of each target, in the order in which they were given. */
  status(): readonly TargetStatus[];
  /** Takes what came last, ends what is under way, within the time; another node of the cluster continues. Never rejects. */
  close(time: TimeLeft): Promise<void>;
}

/** What a webhook is like, for the doctor. */
export interface WebhookFacts {
  /** As logs call it. */
  readonly name: string;
  /** Whether its address is plain `http:` on another host. */
  readonly isPlain: boolean;
  readonly keys: readonly Buffer[];
  readonly timeoutMs: number;
  readonly maxAgeMs: number;
}

/** What `realtimeHooks()` of `nestjs-realtime/hooks` makes, for the option `hooks` of the module. */
export interface RealtimeHooks {
  /** @internal */
  readonly policy: HoldsPolicy;
  /** @internal */
  readonly providers: readonly InjectionToken[];
  /** @internal One of each target beside the providers; `undefined` for a target of the application's own. */
  readonly webhooks: readonly (WebhookFacts | undefined)[];
  /** @internal Opens the hooks, or reports why they cannot be. */
  open(site: HooksSite, problems: BootProblems): HooksRun;
}

export type { EventPlace, OnlineUsers };
