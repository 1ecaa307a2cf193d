import type { SessionRegistry } from '../../session/registry.js';
import { isCount } from '../../../protocol/validation/checks.js';
import type { NodeQuestions } from './node-questions.js';

const ONLINE = 'users.online';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most users of one question. */
export const MAX_USERS_ASKED = 256;

/** Which of some users have a session. */
export interface OnlineUsers {
  /** On the nodes that answered. */
  readonly online: ReadonlySet<string>;
  /** Ids of nodes that did not answer in time: users of whom nothing is known here may have a session there. */
  readonly missing: readonly string[];
}

/** Finds out for many users at once whether they have a session on any node. Nothing is kept of what other nodes have. */
export class UsersOnline {
  constructor(
    private readonly questions: NodeQuestions,
    private readonly sessions: Pick<SessionRegistry, 'ofUser'>,
  ) {
    questions.serve(ONLINE, (body) => {
      const { u: users } = (body ?? {}) as Readonly<Record<string, unknown>>;
      if (!areUsers(users)) throw new RangeError('No such users');
      return { o: users.flatMap((user, index) => (this.isHere(user) ? [index] : [])) };
    });
  }

  /** @param users at most {@link MAX_USERS_ASKED}. @throws RealtimeError `unavailable` or `timeout` where the nodes are not known. */
  async find(users: readonly string[]): Promise<OnlineUsers> {
    const here = users.filter((user) => this.isHere(user));
    const others = users.filter((user) => !here.includes(user));
    const online = new Set(here);
    if (others.length === 0) return { online, missing: [] };
    const nodes = await this.questions.nodes(TIMEOUT_MS);
    const read = (answer: unknown): readonly number[] | undefined => readIndexes(answer, others.length);
    const { byNode, missing } = await this.questions.ask(
      ONLINE,
      { u: others },
      { nodes, timeoutMs: TIMEOUT_MS, read },
    );
    for (const indexes of byNode.values()) for (const index of indexes) online.add(others[index] as string);
    return { online, missing };
  }

  private isHere(user: string): boolean {
    return this.sessions.ofUser(user).some((session) => session.isLive);
  }
}

function areUsers(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length <= MAX_USERS_ASKED && value.every((user) => typeof user === 'string')
  );
}

function readIndexes(answer: unknown, length: number): readonly number[] | undefined {
  const { o } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  const areIndexes = Array.isArray(o) && o.every((index) => isCount(index) && index < length);
  return areIndexes ? (o as readonly number[]) : undefined;
}
