import { Injectable } from '@nestjs/common';
import { userChannel } from '../protocol/channel-name.js';
import type { HistoryResult, PresencePage, PublishResult } from '../protocol/messages.js';
import type { SessionInfo } from '../core/engine/realtime-engine.js';
import type { ControlReceipt } from '../core/ports/control.js';
import { rejected } from '../core/ports/maybe-promise.js';
import { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
import { durationMs, type Duration } from './options/duration.js';
import { checkInput } from './service-input.js';

/** What may be said beside event and payload. */
export interface PublishOptions {
  /** Idempotency key: the same id inside the dedupe window is appended once (G4). Default: a new one. */
  readonly id?: string;
  /** Conflation key: with `overflow: 'conflate'` newer events of a key replace older ones. */
  readonly key?: string;
  /** How long delivery makes sense. Default: for ever. */
  readonly ttl?: Duration;
  /** Shown to subscribers as the author. Default: none. */
  readonly user?: string;
  /** W3C `traceparent`. */
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** A range of a channel's log, bounds inclusive. */
export interface HistoryQuery {
  /** First `seq`. Default: the oldest that is kept. */
  readonly from?: number;
  /** Last `seq`. Default: the newest. */
  readonly until?: number;
  /** Most events returned, at most 1000. Default 100. */
  readonly limit?: number;
  /** Newest first. Default `false`. */
  readonly reverse?: boolean;
  /** Epoch that the bounds were learned in. Default: the current one. */
  readonly epoch?: string;
}

/** Administrative acts say why, for the audit (G26). */
export interface ActOptions {
  /** Why; told to the log, not to the client. */
  readonly reason?: string;
  /** Who did it. */
  readonly by?: string;
}

/** Bans may end. */
export interface BanOptions extends ActOptions {
  /** How long. Default: for good. */
  readonly for?: Duration;
}

/**
 * One channel, as the application sees it. The application is trusted: nothing is authorized here.
 *
 * Every method rejects with a `RealtimeError`: `unknown_channel` when no `@Channel` matches the name, `unavailable`
 * and `timeout` when the broker is away (of a publish the outcome is then unknown: repeat it with the same `id`),
 * `conflict` for an `id` that was used with other content, `bad_request` for an argument that is not as it must be.
 */
export class ChannelHandle {
  constructor(
    private readonly runtime: RealtimeRuntime,
    /** Name of the channel, e.g. `rooms.42`. */
    readonly name: string,
  ) {}

  /**
   * Appends an event to the log; resolved, it is as durable as the broker declares (G1).
   *
   * @example const { seq } = await realtime.channel('rooms.42').publish('message.created', message, { id: message.id });
   */
  publish(event: string, payload: unknown, options?: PublishOptions): Promise<PublishResult> {
    // Not `async`: what is published many times a turn is not worth two promises more.
    try {
      if (options === undefined) {
        checkInput('publish', { event });
        return this.runtime.engine.application.publish(this.name, event, payload);
      }
      checkInput('publish', { event, ...options });
      const { ttl, ...rest } = options;
      const ttlMs = ttl === undefined ? {} : { ttlMs: durationMs(ttl, 'publish: ttl') };
      return this.runtime.engine.application.publish(this.name, event, payload, { ...rest, ...ttlMs });
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * Sends something ephemeral to those who are subscribed now: never stored, never sequenced, dropped first under load.
   *
   * @param user Shown as the author.
   * @example await realtime.channel('rooms.42').signal('typing', { on: true }, user.id);
   */
  async signal(event: string, payload?: unknown, user?: string): Promise<void> {
    checkInput('signal', { event, user });
    return this.runtime.engine.application.signal(this.name, event, payload, user);
  }

  /**
   * Reads the log, a page at a time; `more` says that the range holds more than the page.
   *
   * @example const { events, position } = await realtime.channel('rooms.42').history({ limit: 20, reverse: true });
   */
  async history(query: HistoryQuery = {}): Promise<HistoryResult> {
    checkInput('history', { ...query });
    return this.runtime.engine.application.history(this.name, query);
  }

  /**
   * Who is here, a page at a time; `more` of a page is the `cursor` of the next (G19).
   *
   * @param page.limit Most members of the page, at most 1000. Default 100.
   * @example const { members, count, more } = await realtime.channel('rooms.42').members({ limit: 50 });
   */
  async members(page: { readonly cursor?: string; readonly limit?: number } = {}): Promise<PresencePage> {
    checkInput('members', { ...page });
    return this.runtime.engine.application.members(this.name, page);
  }
}

/** One user: the user's own channel, and what can be done to all of the user's connections, on every node. */
export class UserHandle {
  private readonly own: ChannelHandle;

  constructor(
    private readonly runtime: RealtimeRuntime,
    /** Id of the user, as `user.id` of the connections has it. */
    readonly id: string,
  ) {
    this.own = new ChannelHandle(runtime, userChannel(id));
  }

  /**
   * Publishes to the user's own channel, which only this user can read (`client.me`).
   *
   * @example await realtime.user('u7').publish('notice', { text: 'Your order has left' }, { id: order.id });
   */
  async publish(event: string, payload: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.own.publish(event, payload, options);
  }

  /** Signals on the user's own channel. */
  async signal(event: string, payload?: unknown): Promise<void> {
    return this.own.signal(event, payload);
  }

  /**
   * The user's connections on this node.
   *
   * @example const online = realtime.user('u7').sessions().length > 0;
   */
  sessions(): readonly SessionInfo[] {
    return this.runtime.engine.sessionsOf(this.id);
  }

  /**
   * Closes the user's connections with 4811; the client does not come back by itself.
   *
   * @returns Which nodes confirmed, and which did not in time.
   * @throws RealtimeError `unavailable` or `timeout` when the broker is away: the record may still take effect.
   * @example await realtime.user('u7').disconnect({ reason: 'logged out' });
   */
  async disconnect({ reason }: Pick<ActOptions, 'reason'> = {}): Promise<ControlReceipt> {
    return this.runtime.engine.disconnect(this.id, reason);
  }

  /**
   * Ends the user's subscriptions, of one channel or of all, and whatever is on its way to them (G11). Resolves when
   * every live node confirmed; `missing` names those that did not. Make the authorization say no first, or the user
   * subscribes again.
   *
   * @throws RealtimeError `bad_request` for what cannot be the name of a channel; `unavailable` or `timeout` when the
   * broker is away: the record may still take effect, so revoke again.
   * @example
   * await members.remove('rooms.42', 'u7');
   * const { missing } = await realtime.user('u7').revoke('rooms.42', { reason: 'left the team' });
   */
  async revoke(channel?: string, { reason }: Pick<ActOptions, 'reason'> = {}): Promise<ControlReceipt> {
    checkInput('revoke', { channel });
    return this.runtime.engine.revoke(this.id, channel, reason);
  }

  /**
   * Refuses the user, and closes the user's connections with 4803.
   *
   * @throws RangeError for a duration that is none; RealtimeError as `revoke`.
   * @example await realtime.user('u7').ban({ for: '1h', reason: 'spam', by: admin.id });
   */
  async ban({ for: duration, reason, by }: BanOptions = {}): Promise<ControlReceipt> {
    return this.runtime.engine.ban(this.id, {
      ...(duration === undefined ? {} : { forMs: durationMs(duration, 'ban: for') }),
      ...(reason === undefined ? {} : { reason }),
      ...(by === undefined ? {} : { by }),
    });
  }

  /**
   * Lets the user in again.
   *
   * @example await realtime.user('u7').unban({ by: admin.id });
   */
  async unban({ by }: Pick<ActOptions, 'by'> = {}): Promise<ControlReceipt> {
    return this.runtime.engine.unban(this.id, by);
  }
}

/**
 * The application's hand on its channels and users; inject it anywhere. Usable from `onModuleInit` on, until the end of
 * `beforeApplicationShutdown`.
 *
 * @example
 * constructor(private readonly realtime: RealtimeService) {}
 * await this.realtime.channel('rooms.42').publish('message.created', payload);
 * await this.realtime.user('u7').ban({ for: '1h', reason: 'spam', by: admin.id });
 * @publicApi
 */
@Injectable()
export class RealtimeService {
  constructor(private readonly runtime: RealtimeRuntime) {}

  /**
   * One channel. The name is looked at when something is done with it.
   *
   * @example await realtime.channel('rooms.42').publish('message.created', payload);
   */
  channel(name: string): ChannelHandle {
    return new ChannelHandle(this.runtime, name);
  }

  /**
   * One user, by the id that the authenticator gives.
   *
   * @throws RangeError when the id is empty or too long to name a channel, TypeError when it is no string.
   * @example await realtime.user('u7').publish('notice', payload);
   */
  user(id: string): UserHandle {
    if (typeof (id as unknown) === 'number')
      throw new TypeError('realtime.user(): the id must be a string, as in the token. Use String(id).');
    return new UserHandle(this.runtime, id);
  }
}
