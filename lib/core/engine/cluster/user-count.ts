import type { Session } from '../../session/session.js';
import { isUserId } from '../../ports/user-id.js';

/** Most of the oldest sessions that a node names. */
export const MAX_OLDEST = 16;
/** Most users that one question is about. */
export const MAX_USERS = 256;
/** Above it, orders could no longer be counted on. */
const MAX_ORDER = 2 ** 50;
const MAX_TEXT = 128;

/** A session that wants to stay, as its node asks others about its user. */
export interface Newcomer {
  readonly user: string;
  readonly order: number;
  readonly lineage: string;
  readonly generation: number;
}

/** A session in its place. */
export interface Place {
  readonly order: number;
  readonly node: string;
  readonly id: string;
}

/** What a node has of a user beside the newcomer. */
export interface Others {
  readonly count: number;
  /** The oldest, at most {@link MAX_OLDEST}; empty where nobody asked for them. */
  readonly oldest: readonly Place[];
}

/** Older places first: the one order that all nodes compute alike. */
export function byAge(a: Place, b: Place): number {
  if (a.order !== b.order) return a.order - b.order;
  if (a.node !== b.node) return a.node < b.node ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/**
 * Counts the sessions of a user beside a newcomer: those that may stay, and of those that still ask, the ones before it. Of two
 * newcomers at two nodes each is registered before it asks, so one sees the other at least, and the order says which has to give way.
 * Older connections of the newcomer's own lineage end by themselves (P28).
 *
 * @param node that has these sessions. @param from the node of the newcomer.
 */
export function countOthers(
  sessions: readonly Session[],
  newcomer: Newcomer,
  node: string,
  from: string,
  wantsOldest: boolean,
): Others {
  const places: Place[] = [];
  let count = 0;
  for (const session of sessions) {
    const { standing, lineage, generation, id } = session;
    if (lineage === newcomer.lineage && generation < newcomer.generation) continue;
    // Without a standing it will ask, and be told of the newcomer; unless it came where nobody asks.
    if (standing === undefined ? !session.isLive : isBehind(session, newcomer, node, from)) continue;
    count++;
    if (wantsOldest) places.push({ order: standing?.order ?? 0, node, id });
  }
  return { count, oldest: places.sort(byAge).slice(0, MAX_OLDEST) };
}

/** Whether a session still asks, the node of the newcomer too, and has to count the newcomer. */
function isBehind({ standing }: Session, newcomer: Newcomer, node: string, from: string): boolean {
  if (standing?.asked === undefined || !(node === from || standing.asked.has(from))) return false;
  const { order } = standing;
  return order === newcomer.order ? node > from : order > newcomer.order;
}

/** Reads newcomers that another node sent. @returns `undefined` for what is none. */
export function readNewcomers(value: unknown): readonly Newcomer[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_USERS) return undefined;
  const newcomers: Newcomer[] = [];
  for (const entry of value as unknown[]) {
    const [user, order, lineage, generation] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!isUserId(user) || !isOrder(order) || !isText(lineage) || !isOrder(generation)) return undefined;
    newcomers.push({ user, order, lineage, generation });
  }
  return newcomers;
}

/** Reads what another node answered about so many users. @returns `undefined` for what is no answer. */
export function readOthers(value: unknown, node: string, users: number): readonly Others[] | undefined {
  if (!Array.isArray(value) || value.length !== users) return undefined;
  const all: Others[] = [];
  for (const entry of value as unknown[]) {
    const [count, list] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!isOrder(count) || !Array.isArray(list) || list.length > MAX_OLDEST) return undefined;
    const oldest: Place[] = [];
    for (const place of list as unknown[]) {
      const [order, id] = Array.isArray(place) ? (place as unknown[]) : [];
      if (!isOrder(order) || !isText(id)) return undefined;
      oldest.push({ order, node, id });
    }
    all.push({ count, oldest });
  }
  return all;
}

/** Whether a value can be the place of a session in the order of all, or a number of them. */
export function isOrder(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_ORDER;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}
