import type { Hub } from '../../hub/hub.js';
import type { Clock } from '../../ports/clock.js';
import type { SessionRegistry } from '../../session/registry.js';
import type { Session } from '../../session/session.js';
import { inTurns } from './in-turns.js';
import type { SessionFilter } from './session-filter.js';

/** One live session, wherever in the cluster. */
export interface SessionInfo {
  /** Names it in {@link SessionFilter} and in the log of its node; a reconnect has another one. */
  readonly id: string;
  /** Names the session through all its connections, for `moderation`; absent from a node of an older version. */
  readonly lineage?: string;
  /** Id of the node that has it. */
  readonly node: string;
  /** Id of the user; absent for an anonymous client. */
  readonly user?: string;
  /** Address of the client, as trusted proxies report it. */
  readonly ip: string;
  /** How the client is connected, e.g. `'websocket'`. */
  readonly transport: string;
  /** When it connected, by the clock of its node: milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  /** How many channels it is subscribed to. */
  readonly channels: number;
}

/** Finds the sessions of this node, in turns of the event loop: there may be a hundred thousand. */
export class LocalSessions {
  constructor(
    private readonly deps: {
      readonly nodeId: string;
      readonly sessions: Pick<SessionRegistry, 'all' | 'find' | 'ofUser' | 'ofNetwork'>;
      readonly hub: Pick<Hub, 'find'>;
      readonly clock: Pick<Clock, 'monotonic'>;
    },
  ) {}

  /** How many there are. */
  async count(filter: SessionFilter): Promise<number> {
    let count = 0;
    await this.each(filter, () => void count++);
    return count;
  }

  /** The first `limit` sessions behind a number, in the order in which they came. */
  async page(filter: SessionFilter, after: number, limit: number): Promise<readonly Session[]> {
    const found: Session[] = [];
    const isAll = filter.user === undefined && filter.channel === undefined && filter.address === undefined;
    await this.each(filter, (session) => {
      if (session.serial <= after) return true;
      insert(found, session, limit);
      // All sessions are kept in that order.
      return !(isAll && found.length === limit);
    });
    return found;
  }

  /** @param visit returns `false` to end the walk. */
  async each(filter: SessionFilter, visit: (session: Session) => boolean | void): Promise<void> {
    const { clock } = this.deps;
    await inTurns(this.candidates(filter), clock, (session) =>
      session?.isLive === true && matches(session, filter) ? visit(session) : true,
    );
  }

  describe({ id, lineage, userId, view, connectedAt, channels }: Session): SessionInfo {
    const { ip, transport } = view;
    const user = userId === undefined ? {} : { user: userId };
    return {
      id,
      lineage,
      node: this.deps.nodeId,
      ...user,
      ip,
      transport,
      connectedAt,
      channels: channels.size,
    };
  }

  /** Not all of these match, but all that match are among them. */
  private candidates({ user, channel, address }: SessionFilter): Iterable<Session | undefined> {
    const { sessions, hub } = this.deps;
    if (user !== undefined) return sessions.ofUser(user);
    if (address !== undefined) return sessions.ofNetwork(address);
    if (channel === undefined) return sessions.all();
    const subscriptions = hub.find(channel)?.subscriptions ?? [];
    return sessionsOf(subscriptions, (id) => sessions.find(id));
  }
}

function* sessionsOf(
  subscriptions: Iterable<{ readonly call: { readonly connection: { readonly id: string } } }>,
  find: (id: string) => Session | undefined,
): Iterable<Session | undefined> {
  for (const { call } of subscriptions) yield find(call.connection.id);
}

function matches(session: Session, { user, channel, address }: SessionFilter): boolean {
  if (user !== undefined && session.userId !== user) return false;
  if (address !== undefined && session.network !== address) return false;
  return channel === undefined || session.channels.get(channel) !== undefined;
}

/** Keeps the `limit` sessions with the smallest numbers, in their order. */
function insert(found: Session[], session: Session, limit: number): void {
  const last = found.at(-1);
  if (found.length >= limit && last !== undefined && last.serial < session.serial) return;
  let low = 0;
  let high = found.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((found[middle]?.serial ?? Infinity) < session.serial) low = middle + 1;
    else high = middle;
  }
  found.splice(low, 0, session);
  if (found.length > limit) found.pop();
}
