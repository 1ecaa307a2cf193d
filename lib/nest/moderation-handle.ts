import type { RestrictionPage } from '../core/access/restrictions.js';
import { MAX_RESTRICTIONS_PAGE } from '../core/access/restrictions.js';
import { channelsIn } from '../core/channel/channel-set.js';
import { networkIn } from '../core/engine/cluster/session-filter.js';
import type { ErasedEvents, EraseReceipt } from '../core/engine/erasure.js';
import type { ControlReceipt, LiftReceipt } from '../core/ports/control.js';
import type { RestrictedAct, RestrictedSubject } from '../core/ports/moderation.js';
import { isUserId, USER_ID_RULE } from '../core/ports/user-id.js';
import { MAX_ID_LENGTH } from '../protocol/envelope.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { ActOptions } from './act-options.js';
import type { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
import { givenDurationMs, type Duration } from './options/duration.js';

/** A restriction is stored, and sent to every node: its texts are bounded. In characters. */
const MAX_REASON = 512;
const MAX_BY = 256;
/** Longest lineage. Ids of sessions are longer, so one that this node does not have is refused, instead of restricting nobody. */
const MAX_LINEAGE = 16;
/** Longest interval of slow mode. */
const MAX_EVERY_MS = 24 * 60 * 60_000;

/**
 * Whom an act of moderation concerns: exactly one of them.
 *
 * `session` is the `lineage` of a session as {@link SessionsHandle.list} has it: it names the session through all its connections, so that
 * a reconnect does not evade the act. The id of a connection of this process (`connection.id` in a handler) does as well. Who throws
 * the session away is somebody new. `address` is an IP address, or a network as limits count addresses: of IPv6 everybody with the
 * same first bits (`limits.ipv6Prefix`, 64), signed in or not.
 */
export type Whom = { readonly user: string } | { readonly session: string } | { readonly address: string };

/** How long, why and by whom. */
export interface RestrictOptions extends ActOptions {
  /** Name of a channel, or a pattern as in `@Channel`. Default: everywhere. */
  readonly channel?: string;
  /** How long. Default: without end. */
  readonly for?: Duration;
}

/** Which restrictions are listed: those that have all that is given. */
export interface RestrictionsFilter {
  /** What they do. Default: anything. */
  readonly act?: RestrictedAct;
  /** Id of a user. */
  readonly user?: string;
  /** As in {@link Whom}. */
  readonly session?: string;
  /** As in {@link Whom}. */
  readonly address?: string;
  /** The name of a channel: those of it, and of patterns that it matches. A pattern: those of it. */
  readonly channel?: string;
}

/**
 * What administrators put on people: bans, mutes, slow mode, kicks. A restriction reaches every node, survives restarts of nodes, and
 * ends by itself where `for` says when. One that is put again takes the place of the earlier.
 *
 * Every method that acts returns which nodes have it in force, and which did not confirm in time: those apply it once they can be
 * reached, and nodes of a version that does not know it never do. It rejects with a `RealtimeError`: `bad_request` for a wrong argument,
 * `unknown_channel` for what matches no `@Channel` of this process, `unavailable` or `timeout` when the broker does not answer: the
 * record may still take effect.
 */
export class ModerationHandle {
  constructor(private readonly runtime: RealtimeRuntime) {}

  /**
   * Takes a user out of a channel. With `for`, the user cannot come back for that long: that is a ban, which `restrictions()` lists and
   * `lift('ban', …)` ends; without, who is authorized may subscribe again. The audit has it as `kick`, with `for` as `data.forMs`.
   *
   * @param channel a name, or a pattern as in `@Channel`.
   * @example await realtime.moderation.kick('u7', 'rooms.42', { for: '5m', reason: 'spam', by: admin.id });
   */
  async kick(
    user: string,
    channel: string,
    { for: duration, ...why }: ActOptions & { readonly for?: Duration } = {},
  ): Promise<ControlReceipt> {
    const whom = this.subject('kick', { user });
    requireChannel('kick', channel);
    const { engine } = this.runtime;
    engine.requireChannel('kick', channel);
    return duration === undefined
      ? engine.revoke(whom.id, channel, reasonsOf('kick', why), 'kick')
      : engine.restrict(
          { act: 'ban', whom, channel, ...reasonsOf('kick', why), ...lasting('kick', duration) },
          'kick',
        );
  }

  /**
   * Keeps somebody out: everywhere, where connections are closed with 4803 and new ones refused, or of a channel, where subscriptions end
   * and every command is refused with `banned`.
   *
   * @example await realtime.moderation.ban({ user: 'u7' }, { channel: 'rooms.42', for: '1d', reason: 'abuse', by: admin.id });
   */
  async ban(whom: Whom, options: RestrictOptions = {}): Promise<ControlReceipt> {
    return this.put('ban', whom, options);
  }

  /**
   * Lets somebody read only: publishes, signals and changes of presence are refused with `muted`. Requests are the application's own, and
   * are not refused.
   *
   * @example await realtime.moderation.mute({ user: 'u7' }, { channel: 'rooms.42', for: '10m', by: admin.id });
   */
  async mute(whom: Whom, options: RestrictOptions = {}): Promise<ControlReceipt> {
    return this.put('mute', whom, options);
  }

  /**
   * Slow mode of a channel: each user may publish once in `every`, at most a day; `moderation.isExempt` names who is left alone. What
   * comes too soon is refused with `muted`, the reason `slow_mode` and `retryAfterMs`.
   *
   * @param channel a name, or a pattern as in `@Channel`: then each channel counts by itself.
   * @example await realtime.moderation.slow('rooms.42', { every: '30s', by: admin.id });
   */
  async slow(
    channel: string,
    options: ActOptions & { readonly every: Duration; readonly for?: Duration },
  ): Promise<ControlReceipt> {
    requireChannel('slow', channel);
    const everyMs = givenDurationMs(options.every, 'slow: every');
    if (everyMs > MAX_EVERY_MS) throw badRequest('slow: every is at most a day');
    const whom = { of: 'everybody', id: '' } as const;
    const more = { ...reasonsOf('slow', options), ...lasting('slow', options.for) };
    return this.runtime.engine.restrict({ act: 'slow', whom, channel, everyMs, ...more });
  }

  /**
   * Ends a ban or a mute of the same channel or pattern; a ban everywhere does not end one of a channel.
   *
   * @returns besides the nodes, what else of the same act and person is still in force there: `remains`.
   * @example await realtime.moderation.lift('mute', { user: 'u7' }, { channel: 'rooms.42', by: admin.id });
   */
  async lift(
    act: 'ban' | 'mute',
    whom: Whom,
    { channel, ...why }: ActOptions & { readonly channel?: string } = {},
  ): Promise<LiftReceipt> {
    if ((act as unknown) !== 'ban' && (act as unknown) !== 'mute')
      throw badRequest("lift: the act is 'ban' or 'mute'; endSlow() ends slow mode");
    const name = { act, whom: this.subject('lift', whom), ...inChannel('lift', channel) };
    return this.runtime.engine.lift(name, reasonsOf('lift', why));
  }

  /**
   * Ends slow mode of a channel or pattern.
   *
   * @returns as {@link lift}.
   * @example await realtime.moderation.endSlow('rooms.42', { by: admin.id });
   */
  async endSlow(channel: string, why: ActOptions = {}): Promise<LiftReceipt> {
    requireChannel('endSlow', channel);
    const whom = { of: 'everybody', id: '' } as const;
    return this.runtime.engine.lift({ act: 'slow', whom, channel }, reasonsOf('endSlow', why));
  }

  /**
   * Erases events of a channel on all nodes (G29): their payloads, names, ids, users, keys and `meta` are gone from the log, its history,
   * every replay and what waits for clients; `$erased` is in their places, and is sent to subscribers as a notice.
   *
   * @param channel name of the channel, no pattern: what has a segment that begins with `:` is one.
   * @param what `seq` or `seqs`, at most 10 000 of them; or `user`: what the log has of the user when it is called. An event that is being
   * published meanwhile stays: mute or ban the user first.
   * @returns which nodes have dropped it: these deliver nothing more of it. `erased` has the places, ascending. Where nothing was found no
   * node is asked, and all lists are empty; the audit has it all the same.
   * @throws RealtimeError `bad_request`, `unknown_channel`; `unavailable` or `timeout` where a step failed, with the `seqs` that are to be
   * erased once more.
   * @example await realtime.moderation.erase('rooms.42', { seq: 1_204 }, { by: 'mod:7', reason: 'address of a person' });
   */
  async erase(channel: string, what: ErasedEvents, why: ActOptions = {}): Promise<EraseReceipt> {
    const given: unknown = what;
    const [name, ...more] = typeof given === 'object' && given !== null ? Object.keys(given) : [];
    if (more.length > 0 || name === undefined || !isErasable(name, (given as Record<string, unknown>)[name]))
      throw badRequest(
        `erase: give one of { seq: 7 }, { seqs: [7, 8] } and { user: 'u7' }; a user is ${USER_ID_RULE}`,
      );
    if (typeof (channel as unknown) !== 'string' || channelsIn('erase', channel).isPattern)
      throw badRequest('erase: give the name of one channel, no pattern');
    return this.runtime.engine.erase(channel, what, reasonsOf('erase', why));
  }

  /**
   * Lists what is in force, in the order in which it was put: every node knows all of it. `forMs` is what is left.
   *
   * @param page.cursor the `more` of the page before. @param page.limit at most 1000. Default 100.
   * @throws RealtimeError `bad_request`.
   * @example const { restrictions, more } = realtime.moderation.restrictions({ channel: 'rooms.42' });
   */
  restrictions(
    filter: RestrictionsFilter = {},
    {
      cursor,
      limit = 100,
    }: { readonly cursor?: string | undefined; readonly limit?: number | undefined } = {},
  ): RestrictionPage {
    const { act, channel, ...rest } = filter;
    for (const [name, value] of Object.entries(filter)) {
      if (!FILTERS.includes(name))
        throw badRequest(`restrictions: there is no ${name}; there are ${FILTERS.join(', ')}`);
      if (value === undefined)
        throw badRequest(`restrictions: ${name} is undefined, which would mean all: leave it out for that`);
    }
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_RESTRICTIONS_PAGE)
      throw badRequest(`restrictions: limit must be a whole number of 1 to ${MAX_RESTRICTIONS_PAGE}`);
    if (cursor !== undefined && !/^\d{1,15}$/.test(cursor))
      throw badRequest('restrictions: cursor is not the "more" of a page');
    if (channel !== undefined) requireChannel('restrictions', channel);
    const whom = Object.keys(rest).length === 0 ? undefined : this.subject('restrictions', rest as Whom);
    return this.runtime.engine.restrictions({ act, whom, channel }, Number(cursor ?? 0), limit);
  }

  private put(
    act: 'ban' | 'mute',
    whom: Whom,
    { channel, for: duration, ...why }: RestrictOptions,
  ): Promise<ControlReceipt> {
    const where = inChannel(act, channel);
    const more = { ...reasonsOf(act, why), ...lasting(act, duration) };
    return this.runtime.engine.restrict({ act, whom: this.subject(act, whom), ...where, ...more });
  }

  /** @throws RealtimeError `bad_request`. */
  private subject(method: string, whom: Whom): RestrictedSubject {
    const { user, session, address } = (whom ?? {}) as { user?: string; session?: string; address?: string };
    if ([user, session, address].filter((value) => value !== undefined).length !== 1)
      throw badRequest(`${method}: give exactly one of user, session and address`);
    const { engine } = this.runtime;
    if (user !== undefined) {
      if (!isUserId(user)) throw badRequest(`${method}: user must be ${USER_ID_RULE}`);
      return { of: 'user', id: user };
    }
    if (session !== undefined) {
      const id = isText(session, MAX_ID_LENGTH) ? engine.lineageOf(session) : '';
      if (!isText(id, MAX_LINEAGE))
        throw badRequest(
          `${method}: session must be the lineage of a session, as sessions.list() has it, or the id of a live one of this node`,
        );
      return { of: 'session', id };
    }
    const network = typeof address === 'string' ? networkIn(address, engine.ipv6Prefix) : undefined;
    if (network === undefined)
      throw badRequest(`${method}: address must be an IP address, such as "203.0.113.7"`);
    return { of: 'address', id: network };
  }
}

const FILTERS = ['act', 'user', 'session', 'address', 'channel'];

function badRequest(message: string): RealtimeError {
  return new RealtimeError('bad_request', message);
}

function isErasable(name: string, value: unknown): boolean {
  if (name === 'user') return isUserId(value);
  return name === 'seq' ? typeof value === 'number' : name === 'seqs' && Array.isArray(value);
}

/** What it may be is checked by the engine; nothing must not mean everywhere. */
function requireChannel(method: string, channel: unknown): void {
  if (typeof channel !== 'string') throw badRequest(`${method}: give the name of a channel, or a pattern`);
}

function inChannel(method: string, channel: string | undefined): { channel?: string } {
  if (channel === undefined) return {};
  requireChannel(method, channel);
  return { channel };
}

function lasting(method: string, duration: Duration | undefined): { forMs?: number } {
  return duration === undefined ? {} : { forMs: givenDurationMs(duration, `${method}: for`) };
}

function reasonsOf(method: string, { reason, by }: ActOptions): ActOptions {
  if (reason !== undefined && !isText(reason, MAX_REASON))
    throw badRequest(`${method}: reason must be a string of at most ${MAX_REASON} characters`);
  if (by !== undefined && !isText(by, MAX_BY))
    throw badRequest(`${method}: by must be a string of at most ${MAX_BY} characters`);
  return { ...(reason === undefined ? {} : { reason }), ...(by === undefined ? {} : { by }) };
}

function isText(value: unknown, max: number): boolean {
  return typeof value === 'string' && value.length >= 1 && value.length <= max;
}
