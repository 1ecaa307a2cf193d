import { Injectable } from '@nestjs/common';
import type { SessionCount, SessionPage } from '../core/engine/cluster/cluster-sessions.js';
import { networkIn, type SessionFilter } from '../core/engine/cluster/session-filter.js';
import type { ControlReceipt } from '../core/ports/control.js';
import { systemEntropy } from '../core/ports/entropy.js';
import { rejected } from '../core/ports/maybe-promise.js';
import { isUserId, USER_ID_RULE } from '../core/ports/user-id.js';
import { isChannelName, userChannel } from '../protocol/channel-name.js';
import { MAX_ID_LENGTH } from '../protocol/envelope.js';
import type { HistoryResult, PresencePage, PublishResult } from '../protocol/messages.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import { matching, object, text, type Check, type Field } from '../protocol/validation/checks.js';
import { EVENT_FIELDS, HISTORY_FIELDS } from '../protocol/validation/command-schemas.js';
import { AuditHandle } from './audit-handle.js';
import { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
import { serveFeed, type FeedOptions, type FeedTarget } from './feed/serve-feed.js';
import type { ActOptions } from './act-options.js';
import { ModerationHandle } from './moderation-handle.js';
import { givenDurationMs, type Duration } from './options/duration.js';

/** What can be given beside event and payload. */
export interface PublishOptions {
  /** Idempotency key: the same id inside the dedupe window is appended once (G4). Default: a new one. */
  readonly id?: string;
  /** Conflation key: with `overflow: 'conflate'` newer events of a key replace older ones. Default: none. */
  readonly key?: string;
  /** How long the event is worth delivering. Default: without end. */
  readonly ttl?: Duration;
  /** Id of the user that subscribers see as the author. Default: none. */
  readonly user?: string;
  /** W3C `traceparent` of the trace that the event continues. Default: none. */
  readonly trace?: string;
  /** Anything that subscribers receive beside the payload. Default: none. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** A range of a channel's log, bounds inclusive. */
export interface HistoryQuery {
  /** First `seq`. Default: the oldest that is kept. */
  readonly from?: number;
  /** Last `seq`. Default: the newest. */
  readonly until?: number;
  /** How many events are returned, at most 1000. Default 100. */
  readonly limit?: number;
  /** Newest first. Default `false`. */
  readonly reverse?: boolean;
  /** Epoch of the log that the bounds refer to. Default: the current one. */
  readonly epoch?: string;
}

/** Whose authorizations are asked again; without `user` and `channel`, all. */
export interface ReauthorizeOptions extends ActOptions {
  /** Id of the user. Default: everybody, anonymous clients included. */
  readonly user?: string;
  /** Name of a channel, or a pattern as in `@Channel`. Default: all. */
  readonly channel?: string;
}

/** Options of a ban. */
export interface BanOptions extends ActOptions {
  /** How long. Default: without end. */
  readonly for?: Duration;
}

/**
 * One channel, as the application uses it. The application is trusted: its calls are not authorized.
 *
 * Every method rejects with a `RealtimeError`: `unknown_channel` when no `@Channel` matches the name, `unavailable` or
 * `timeout` when the broker does not answer (the outcome of a publish is then unknown: repeat it with the same `id`),
 * `conflict` for an `id` that was used with other content, `bad_request` for a wrong argument.
 */
export class ChannelHandle {
  constructor(
    private readonly runtime: RealtimeRuntime,
    /** Name of the channel, e.g. `rooms.42`. */
    readonly name: string,
  ) {}

  /**
   * Appends an event to the log. When the promise resolves, the event is as durable as the broker promises (G1).
   *
   * @example const { seq } = await realtime.channel('rooms.42').publish('message.created', message, { id: message.id });
   */
  publish(event: string, payload: unknown, options?: PublishOptions): Promise<PublishResult> {
    // Not `async`: an application may publish many times per turn, and each call would cost two more promises.
    try {
      if (options === undefined) {
        checkInput('publish', { event });
        return this.runtime.engine.application.publish(this.name, event, payload);
      }
      checkInput('publish', { event, ...options });
      const { ttl, ...rest } = options;
      const expiry = ttl === undefined ? {} : { ttl: givenDurationMs(ttl, 'publish: ttl') };
      return this.runtime.engine.application.publish(this.name, event, payload, { ...rest, ...expiry });
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * Sends a signal to the current subscribers: it is not stored and not sequenced, and dropped first under load.
   *
   * @param user Id of the user that subscribers see as the author.
   * @example await realtime.channel('rooms.42').signal('typing', { on: true }, user.id);
   */
  async signal(event: string, payload?: unknown, user?: string): Promise<void> {
    checkInput('signal', { event, user });
    return this.runtime.engine.application.signal(this.name, event, payload, user);
  }

  /**
   * Reads a page of the log; `more` is set when the range holds more than the page.
   *
   * @example const { events, position } = await realtime.channel('rooms.42').history({ limit: 20, reverse: true });
   */
  async history(query: HistoryQuery = {}): Promise<HistoryResult> {
    checkInput('history', { ...query });
    return this.runtime.engine.application.history(this.name, query);
  }

  /**
   * Reads a page of the channel's members; `more` of a page is the `cursor` of the next (G19).
   *
   * @param page.limit How many members are returned, at most 1000. Default 100.
   * @example const { members, count, more } = await realtime.channel('rooms.42').members({ limit: 50 });
   */
  async members(
    page: { readonly cursor?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<PresencePage> {
    checkInput('members', { ...page });
    return this.runtime.engine.application.members(this.name, page);
  }
}

/** One user: the user's own channel, and the user's connections on every node. */
export class UserHandle {
  constructor(
    private readonly runtime: RealtimeRuntime,
    /** Id of the user: `user.id` of the connections. */
    readonly id: string,
  ) {}

  /**
   * Publishes to the user's own channel, which only this user can read (`client.me`). Rejects as {@link ChannelHandle.publish}
   * does, and with `bad_request` for an id that is too long to name a channel (P23c); the other acts on a user have no such limit.
   *
   * @example await realtime.user('u7').publish('notice', { text: 'Your order has left' }, { id: order.id });
   */
  async publish(event: string, payload: unknown, options?: PublishOptions): Promise<PublishResult> {
    const { hooks } = this.runtime;
    if (hooks === undefined) return this.own().publish(event, payload, options);
    const id = options?.id ?? systemEntropy.id();
    const own = this.own();
    const published = await own.publish(event, payload, { ...options, id });
    const { epoch, seq } = published;
    hooks.onNotice(this.id, { event, id, payload, place: { channel: own.name, epoch, seq } });
    return published;
  }

  /** Sends a signal on the user's own channel. Rejects as `publish` does. */
  async signal(event: string, payload?: unknown): Promise<void> {
    return this.own().signal(event, payload);
  }

  private own(): ChannelHandle {
    try {
      return new ChannelHandle(this.runtime, userChannel(this.id));
    } catch (error) {
      throw new RealtimeError('bad_request', (error as Error).message, { cause: error });
    }
  }

  /**
   * Lists the user's sessions on all nodes, a page at a time. Rejects as {@link SessionsHandle.list} does.
   *
   * @example const { sessions, missing } = await realtime.user('u7').sessions();
   */
  async sessions(page: SessionsPageOptions = {}): Promise<SessionPage> {
    return new SessionsHandle(this.runtime).list({ user: this.id }, page);
  }

  /**
   * Whether the user has a session on any node. Where `online` is false and `missing` is not empty, nobody knows. Rejects as
   * {@link SessionsHandle.count} does.
   *
   * @example if (!(await realtime.user('u7').isOnline()).online) await mail.send(notice);
   */
  async isOnline(): Promise<{ readonly online: boolean; readonly missing: readonly string[] }> {
    const { count, missing } = await new SessionsHandle(this.runtime).count({ user: this.id });
    return { online: count > 0, missing };
  }

  /**
   * Closes the user's connections with 4811; the client does not reconnect by itself.
   *
   * @returns Which nodes confirmed, and which did not in time.
   * @throws RealtimeError `unavailable` or `timeout` when the broker does not answer: the record may still take effect.
   * @example await realtime.user('u7').disconnect({ reason: 'logged out' });
   */
  async disconnect({ reason, by }: ActOptions = {}): Promise<ControlReceipt> {
    return this.runtime.engine.disconnect(this.id, { reason, by });
  }

  /**
   * Ends the user's subscriptions, of one channel, of those that a pattern matches, or of all, and drops what waits for them (G11).
   * Resolves when every live node has confirmed; `missing` names those that did not in time, and nodes of an older version that
   * know no patterns: they have not applied it. Change the authorization first, or the user can subscribe again.
   *
   * @param channel a name, or a pattern as in `@Channel`: what has a segment that begins with `:` is a pattern. Default: all.
   * @throws RealtimeError `bad_request` for what can be neither, `unknown_channel` for what matches no
   * `@Channel` of this process; `unavailable` or `timeout` when the broker does not answer: the record may still take
   * effect, so revoke again.
   * @example
   * await members.remove('rooms.42', 'u7');
   * const { missing } = await realtime.user('u7').revoke('rooms.42', { reason: 'left the team' });
   * await realtime.user('u7').revoke('teams.7.:room');
   */
  async revoke(channel?: string, { reason, by }: ActOptions = {}): Promise<ControlReceipt> {
    checkInput('revoke', { channel });
    return this.runtime.engine.revoke(this.id, channel, { reason, by });
  }

  /**
   * Refuses the user, and closes the user's connections with 4803.
   *
   * @throws RealtimeError `bad_request` when `for` is not a duration; otherwise as `revoke`.
   * @example await realtime.user('u7').ban({ for: '1h', reason: 'spam', by: admin.id });
   */
  async ban({ for: duration, reason, by }: BanOptions = {}): Promise<ControlReceipt> {
    return this.runtime.engine.ban(this.id, {
      ...(duration === undefined ? {} : { forMs: givenDurationMs(duration, 'ban: for') }),
      ...(reason === undefined ? {} : { reason }),
      ...(by === undefined ? {} : { by }),
    });
  }

  /**
   * Ends a ban. Rejects as `revoke` does.
   *
   * @example await realtime.user('u7').unban({ by: admin.id });
   */
  async unban({ reason, by }: ActOptions = {}): Promise<ControlReceipt> {
    return this.runtime.engine.unban(this.id, { reason, by });
  }
}

/** Which page of a list of sessions. */
export interface SessionsPageOptions {
  /** `more` of the page before. Default: the first page. */
  readonly cursor?: string | undefined;
  /** How many sessions are returned, at most 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** The sessions of all nodes. No node knows what the others have: each call asks them, and names those that did not answer. */
export class SessionsHandle {
  constructor(private readonly runtime: RealtimeRuntime) {}

  /**
   * Lists sessions, a page at a time: those that have all that the filter names. It is no snapshot: what comes and goes between two
   * pages may be in neither. A node that does not answer within two seconds is named in `missing`.
   *
   * @param filter.address an address, or a network as limits count them: of IPv6, everybody with the same first bits
   * (`limits.ipv6Prefix`, 64) is found.
   * @throws RealtimeError `bad_request` for a wrong argument; `unavailable` or `timeout` when the broker does not answer.
   * @example
   * for (let cursor: string | undefined; ; ) {
   *   const page = await realtime.sessions.list({ channel: 'rooms.42' }, { cursor });
   *   show(page.sessions);
   *   if ((cursor = page.more) === undefined) break;
   * }
   */
  async list(
    filter: SessionFilter = {},
    { cursor, limit = 100 }: SessionsPageOptions = {},
  ): Promise<SessionPage> {
    checkFilter('list', filter);
    checkInput('sessions', { ...filter, cursor, limit });
    return this.runtime.engine.sessions.list(this.known(filter), { cursor, limit });
  }

  /**
   * Counts sessions, as {@link list} finds them. Rejects as it does.
   *
   * @example const { count } = await realtime.sessions.count({ channel: 'rooms.42' });
   */
  async count(filter: SessionFilter = {}): Promise<SessionCount> {
    checkFilter('count', filter);
    checkInput('sessions', { ...filter });
    return this.runtime.engine.sessions.count(this.known(filter));
  }

  /**
   * Closes sessions with 4811, on every node: one by its id, everybody of a channel, or everybody of an address. Those clients do not
   * reconnect by themselves, and nothing keeps them out if they do. For a user see {@link UserHandle.disconnect}.
   *
   * @returns Which nodes confirmed, and which did not in time: they do it once they can be reached.
   * @throws RealtimeError `bad_request` for a wrong argument, or not exactly one; `unavailable` or `timeout` when the broker does not
   * answer: the record may still take effect.
   * @example const { missing } = await realtime.sessions.disconnect({ channel: 'rooms.42' }, { reason: 'room closed' });
   */
  async disconnect(
    whom: { readonly id: string } | { readonly channel: string } | { readonly address: string },
    { reason, by }: ActOptions = {},
  ): Promise<ControlReceipt> {
    const { id, channel, address } = whom as { id?: string; channel?: string; address?: string };
    checkInput('disconnect', { id, channel, address });
    const given = [id, channel, address].filter((value) => value !== undefined);
    const [only] = given;
    if (only === undefined || given.length > 1)
      throw new RealtimeError('bad_request', 'disconnect: give either id, channel or address');
    const { engine } = this.runtime;
    const why = { reason, by };
    if (id !== undefined) return engine.disconnectSessions('session', id, why);
    if (channel !== undefined) return engine.disconnectSessions('channel', channel, why);
    return engine.disconnectSessions('address', this.network(only, 'disconnect'), why);
  }

  private known({ user, channel, address }: SessionFilter): SessionFilter {
    return { user, channel, address: address === undefined ? undefined : this.network(address, 'sessions') };
  }

  private network(address: string, method: string): string {
    const network = networkIn(address, this.runtime.engine.ipv6Prefix);
    if (network !== undefined) return network;
    throw new RealtimeError('bad_request', `${method}: address must be an IP address, such as "203.0.113.7"`);
  }
}

/**
 * Gives the application its channels and users; inject it anywhere. It works from `onModuleInit` until the end of
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
   * One channel. The name is checked by the methods of the handle.
   *
   * @example await realtime.channel('rooms.42').publish('message.created', payload);
   */
  channel(name: string): ChannelHandle {
    return new ChannelHandle(this.runtime, name);
  }

  /**
   * One user, by the id that the authenticator returned.
   *
   * @throws RealtimeError `bad_request` when the id is none that a client can have: a string of 1 to 255 bytes of UTF-8 without control
   * characters.
   * @example await realtime.user('u7').publish('notice', payload);
   */
  user(id: string): UserHandle {
    if (typeof (id as unknown) === 'number')
      throw new RealtimeError(
        'bad_request',
        'realtime.user(): the id must be a string, as in the token. Use String(id)',
      );
    if (!isUserId(id))
      throw new RealtimeError('bad_request', `realtime.user(): the id must be ${USER_ID_RULE}`);
    return new UserHandle(this.runtime, id);
  }

  /**
   * The sessions of all nodes: lists, counts and ends them.
   *
   * @example const { count } = await realtime.sessions.count();
   */
  get sessions(): SessionsHandle {
    return new SessionsHandle(this.runtime);
  }

  /**
   * What was done by whom: records acts of the application, and lists all.
   *
   * @example const { entries } = await realtime.audit.list({ whom: 'u7' });
   */
  get audit(): AuditHandle {
    return new AuditHandle(this.runtime.audit);
  }

  /**
   * Bans, mutes, slow mode and kicks, on every node.
   *
   * @example await realtime.moderation.mute({ user: 'u7' }, { channel: 'rooms.42', for: '10m', reason: 'flood', by: admin.id });
   */
  get moderation(): ModerationHandle {
    return new ModerationHandle(this.runtime);
  }

  /**
   * Asks the authorizations of live subscriptions again on every node, 64 at a time on each (G11): to be called when roles or
   * memberships changed and it is not known who lost what. Only a no ends a subscription; while an authorization fails, nothing of
   * its subscription is delivered, and it is asked again. A subscribe that was under way is answered with `unavailable`, which its
   * client sends again.
   *
   * @returns which nodes have done it: there each authorization was answered, or nothing is delivered until it is. `missing` names
   * those that did not within the broker's time for control records, which ask on, those that drain, and those of an older version,
   * which ask nothing.
   * @throws RealtimeError as {@link UserHandle.revoke} does.
   * @example
   * await roles.update('editor', permissions);
   * await realtime.reauthorize({ channel: 'documents.:id', reason: 'role changed' });
   */
  async reauthorize(options: ReauthorizeOptions = {}): Promise<ControlReceipt> {
    const { user: id, channel, reason, by } = checkFilter('reauthorize', options, ['reason', 'by']);
    checkInput('reauthorize', { user: id, channel });
    return this.runtime.engine.reauthorize(id, channel, { reason, by });
  }

  /**
   * Answers a request of an ordinary controller with a plain event stream of these channels (P20), behind the route's own guards.
   * Each channel's authorization is asked as well. Inject the response with `@Res()`, so that Nest leaves the answer to it.
   *
   * @param request of Express or Fastify. @param response of the same.
   * @returns a promise that resolves when the stream has begun, or its refusal was sent.
   * @throws TypeError for a `user` whose id no client can have, or `channels` that is no list; Error in an application that takes no
   * clients (`publisherOnly`).
   * @example
   * @Get('prices')
   * @UseGuards(SubscriberGuard)
   * prices(@Req() req: Request, @Res() res: Response) {
   *   return this.realtime.serveFeed(req, res, { channels: ['prices.eur', 'prices.usd'], user: req.user });
   * }
   */
  async serveFeed(request: FeedTarget, response: FeedTarget, options: FeedOptions): Promise<void> {
    return serveFeed(this.runtime.feeds, request, response, options);
  }
}

const { event, key, trace, meta } = EVENT_FIELDS;
const user: Field = { check: matching(isUserId, `must be ${USER_ID_RULE}`) };
const channel: Field = {
  check: matching(
    isChannelSet,
    'must be a channel name, such as "rooms.42", or a pattern, such as "rooms.:room"',
  ),
};
const cursor: Field = { check: matching((value) => typeof value === 'string', 'must be a string') };
const { limit } = HISTORY_FIELDS;
const channelName: Field = {
  check: matching(
    isOneChannel,
    'must be the name of one channel, such as "rooms.42"; patterns are not taken here',
  ),
};
const address: Field = { check: text(64) };

/**
 * Checks of the arguments, beside their types: the application may be JavaScript, or have ids that are numbers from a
 * database, and arguments go on the wire unchanged (P5).
 */
const CHECKS = {
  publish: object({ event, id: { check: text(MAX_ID_LENGTH) }, key, user, trace, meta }),
  signal: object({ event, user }),
  history: object(HISTORY_FIELDS),
  members: object({ cursor, limit }),
  revoke: object({ channel }),
  reauthorize: object({ user, channel }),
  sessions: object({ user, channel: channelName, address, cursor, limit }),
  disconnect: object({ id: { check: text(MAX_ID_LENGTH) }, channel: channelName, address }),
} satisfies Record<string, Check>;

/** Whether it may name channels; of a pattern, what is wrong with it is reported by the engine. */
function isChannelSet(value: unknown): boolean {
  return isChannelName(value) || (typeof value === 'string' && value.includes(':'));
}

/** One whose segment begins with a colon is meant as a pattern, and would find nobody. */
function isOneChannel(value: unknown): boolean {
  return isChannelName(value) && !/(^|\.):/.test(String(value));
}

/**
 * What a filter leaves out it does not filter by: a value that is undefined by mistake, or a name that is misspelt, would mean everybody.
 *
 * @throws RealtimeError `bad_request`.
 */
function checkFilter<Filter extends object>(
  method: string,
  filter: Filter,
  more: readonly string[] = [],
): Filter {
  if (typeof (filter as unknown) !== 'object' || (filter as unknown) === null)
    throw new RealtimeError('bad_request', `${method}: give an object, such as { user: 'u7' }`);
  const known = ['user', 'channel', ...(method === 'reauthorize' ? [] : ['address']), ...more];
  for (const [name, value] of Object.entries(filter)) {
    if (!known.includes(name))
      throw new RealtimeError('bad_request', `${method}: there is no ${name}; there are ${known.join(', ')}`);
    if (value === undefined && !more.includes(name))
      throw new RealtimeError(
        'bad_request',
        `${method}: ${name} is undefined, which would mean everybody: leave it out for that`,
      );
  }
  return filter;
}

/** @throws RealtimeError `bad_request`, which names each wrong argument and what it must be. */
function checkInput(method: keyof typeof CHECKS, given: Readonly<Record<string, unknown>>): void {
  const details: ErrorDetail[] = [];
  CHECKS[method](given, '', (detail) => details.push(detail));
  if (details.length === 0) return;
  const all = details.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new RealtimeError('bad_request', `${method}: ${all}`, { details });
}
