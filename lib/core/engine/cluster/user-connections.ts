import type { ThrottledLog } from '../../async/throttled-log.js';
import type { ConnectionLimit, LimitVerdict } from '../../commands/hello.js';
import type { Clock } from '../../ports/clock.js';
import type { MaybePromise } from '../../ports/maybe-promise.js';
import type { EngineSettings } from '../../ports/settings.js';
import type { SessionRegistry } from '../../session/registry.js';
import type { Session } from '../../session/session.js';
import type { NodeQuestions } from './node-questions.js';
import {
  byAge,
  countOthers,
  isOrder,
  MAX_USERS,
  readNewcomers,
  readOthers,
  type Newcomer,
  type Others,
  type Place,
} from './user-count.js';

const COUNT = 'user.count';
const END = 'user.end';
/** How long `welcome` waits for the other nodes, in milliseconds. */
const TIMEOUT_MS = 500;
/** How long a node that did not answer is not asked again. */
const SILENT_MS = 5_000;
/** Most questions that are under way; what comes then shares the next one. */
const MAX_BATCHES = 8;
/** Most sessions that one message ends. */
const MAX_ENDED = 1_024;

interface Waiting {
  readonly session: Session;
  readonly user: string;
  readonly decide: (verdict: LimitVerdict) => void;
}

export interface UserConnectionsDeps {
  readonly questions: NodeQuestions;
  readonly sessions: Pick<SessionRegistry, 'ofUser' | 'find'>;
  readonly settings: Pick<EngineSettings, 'limits'>;
  readonly clock: Clock;
  readonly journal: ThrottledLog;
}

/**
 * Bounds the connections of a user over all nodes (G17). No node knows what the others have: a newcomer is registered here, then
 * the others are asked, for many users in one message. While all nodes answer, the limit is exact; a node that does not answer is
 * not waited for: to refuse everybody because one node stands still would be worse than a connection too many.
 */
export class UserConnections implements ConnectionLimit {
  private waiting: Waiting[] = [];
  private batches = 0;
  private flushing = false;
  /** As Lamport's clocks: behind every order that this node has seen. */
  private order = 0;
  /** Whether the others were asked for theirs. */
  private isSynced = false;
  /** Nodes that did not answer, with the monotonic time until which they are not asked. */
  private readonly silent = new Map<string, number>();
  /** Until when the list of nodes is not asked for, as it could not be had. */
  private unknownUntil = -Infinity;

  constructor(private readonly deps: UserConnectionsDeps) {
    const { questions, sessions } = deps;
    questions.serve(COUNT, (body, from) => {
      const { c, o, u } = (body ?? {}) as Readonly<Record<string, unknown>>;
      const newcomers = readNewcomers(u);
      if (newcomers === undefined || !isOrder(c)) throw new RangeError('No such users');
      this.saw(c);
      for (const newcomer of newcomers) this.endOlder(newcomer);
      const others = newcomers.map((newcomer) =>
        countOthers(sessions.ofUser(newcomer.user), newcomer, questions.nodeId, from, o === true),
      );
      return {
        c: this.order,
        a: others.map(({ count, oldest }) => [count, oldest.map(({ order, id }) => [order, id])]),
      };
    });
    questions.serve(END, (body) => {
      const { s } = (body ?? {}) as Readonly<Record<string, unknown>>;
      if (!Array.isArray(s) || s.length > MAX_ENDED) throw new RangeError('No such sessions');
      for (const id of s as unknown[]) if (typeof id === 'string') sessions.find(id)?.close('replaced');
      return true;
    });
  }

  admit(session: Session): MaybePromise<LimitVerdict> {
    const { max, endsOldest } = this.limit;
    const { userId: user } = session;
    const { questions } = this.deps;
    if (max === 0 || user === undefined) return 'admitted';
    // Nothing that others have makes it fewer.
    if (!endsOldest && this.hasLocally(session, user) >= max) return 'refused';
    if (questions.isAlone) return this.decide(session, this.register(session, user, []), []);
    return new Promise((decide) => {
      this.waiting.push({ session, user, decide });
      this.flushSoon();
    });
  }

  private get limit(): { readonly max: number; readonly endsOldest: boolean } {
    const { maxConnectionsPerUser: max, whenUserIsFull } = this.deps.settings.limits;
    return { max, endsOldest: whenUserIsFull === 'end_oldest' };
  }

  private hasLocally({ lineage, generation }: Session, user: string): number {
    const { nodeId } = this.deps.questions;
    const newcomer: Newcomer = { user, lineage, generation, order: this.order + 1 };
    return countOthers(this.deps.sessions.ofUser(user), newcomer, nodeId, nodeId, false).count;
  }

  /** At the end of this turn, so that those who come together ask together. */
  private flushSoon(): void {
    if (this.flushing || this.batches >= MAX_BATCHES || this.waiting.length === 0) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      const batch = this.waiting.splice(0, MAX_USERS);
      this.batches++;
      void this.run(batch).finally(() => {
        this.batches--;
        this.flushSoon();
      });
      this.flushSoon();
    });
  }

  /** Never rejects: what cannot be asked is decided by what is known here. */
  private async run(batch: readonly Waiting[]): Promise<void> {
    let nodes = await this.others();
    if (nodes.length > 0 && !this.isSynced) {
      // Orders of a process that has just started would be those of the oldest.
      await this.ask([], nodes);
      this.isSynced = true;
      nodes = nodes.filter((node) => !this.isSilent(node));
    }
    // From here to the question in one go: each is registered before anybody is asked.
    const present = batch.filter(({ session, decide }) => {
      if (session.isClosed) decide('refused');
      return !session.isClosed;
    });
    const newcomers = present.map(({ session, user }) => this.register(session, user, nodes));
    const answers = nodes.length === 0 ? [] : await this.ask(newcomers, nodes);
    present.forEach(({ session, decide }, index) => {
      const newcomer = newcomers[index];
      const others = answers.flatMap((answer) => answer[index] ?? []);
      decide(newcomer === undefined || session.isClosed ? 'refused' : this.decide(session, newcomer, others));
    });
  }

  /** A client that plays an older ticket again, at the node that it names, would otherwise have a session at each node (P28). */
  private endOlder({ user, lineage, generation }: Newcomer): void {
    for (const session of this.deps.sessions.ofUser(user))
      if (session.lineage === lineage && session.generation < generation) session.close('superseded');
  }

  private register(session: Session, user: string, nodes: readonly string[]): Newcomer {
    const { lineage, generation } = session;
    const order = ++this.order;
    session.standing = { order, asked: new Set(nodes) };
    return { user, order, lineage, generation };
  }

  private decide(session: Session, newcomer: Newcomer, answers: readonly Others[]): LimitVerdict {
    const { questions, sessions } = this.deps;
    const { max, endsOldest } = this.limit;
    const { nodeId } = questions;
    const local = countOthers(sessions.ofUser(newcomer.user), newcomer, nodeId, nodeId, endsOldest);
    const others = [local, ...answers];
    const excess = others.reduce((sum, { count }) => sum + count, 1) - max;
    if (excess > 0 && !endsOldest) {
      session.standing = undefined;
      return 'refused';
    }
    if (session.standing !== undefined) session.standing.asked = undefined;
    if (excess <= 0) return 'admitted';
    const own: Place = { order: newcomer.order, node: nodeId, id: session.id };
    const ended = [own, ...others.flatMap(({ oldest }) => oldest)].sort(byAge).slice(0, excess);
    this.end(ended.filter((place) => place !== own));
    return ended.includes(own) ? 'replaced' : 'admitted';
  }

  /** Nobody waits for it: messages of this node to another arrive in order, and what is lost is found by the next newcomer. */
  private end(places: readonly Place[]): void {
    const { questions, sessions } = this.deps;
    const elsewhere = new Map<string, string[]>();
    for (const { node, id } of places) {
      if (node === questions.nodeId) sessions.find(id)?.close('replaced');
      else elsewhere.set(node, [...(elsewhere.get(node) ?? []), id]);
    }
    for (const [node, ids] of elsewhere) {
      const to = { nodes: [node], timeoutMs: TIMEOUT_MS, read: (answer: unknown) => answer };
      questions.ask(END, { s: ids }, to).then(
        ({ missing }) => this.isMissing(missing),
        () => this.isMissing([node]),
      );
    }
  }

  /** The nodes to ask: not this one, and none that has just failed to answer. */
  private async others(): Promise<readonly string[]> {
    const { questions, clock } = this.deps;
    if (clock.monotonic() < this.unknownUntil) return [];
    try {
      const nodes = await questions.nodes(TIMEOUT_MS);
      return nodes.filter((node) => node !== questions.nodeId && !this.isSilent(node));
    } catch {
      this.unknownUntil = clock.monotonic() + SILENT_MS;
      this.log('as the list of nodes could not be had');
      return [];
    }
  }

  /** What each node that answered has of each user. */
  private async ask(
    newcomers: readonly Newcomer[],
    nodes: readonly string[],
  ): Promise<readonly (readonly Others[])[]> {
    const { questions } = this.deps;
    const u = newcomers.map(({ user, order, lineage, generation }) => [user, order, lineage, generation]);
    const body = { c: this.order, o: this.limit.endsOldest, u };
    try {
      const read = (answer: unknown) => {
        const { c, a } = (answer ?? {}) as Readonly<Record<string, unknown>>;
        return isOrder(c) && Array.isArray(a) ? { c, a: a as unknown[] } : undefined;
      };
      const { byNode, missing } = await questions.ask(COUNT, body, { nodes, timeoutMs: TIMEOUT_MS, read });
      const unreadable: string[] = [];
      const all = [...byNode].flatMap(([node, { c, a }]) => {
        this.saw(c);
        const others = readOthers(a, node, newcomers.length);
        if (others === undefined) unreadable.push(node);
        return others === undefined ? [] : [others];
      });
      this.isMissing([...missing, ...unreadable]);
      return all;
    } catch (error) {
      this.log(String(error));
      return [];
    }
  }

  private isSilent(node: string): boolean {
    return (this.silent.get(node) ?? -Infinity) > this.deps.clock.monotonic();
  }

  private saw(order: number): void {
    this.order = Math.max(this.order, order);
  }

  private isMissing(nodes: readonly string[]): void {
    if (nodes.length === 0) return;
    const now = this.deps.clock.monotonic();
    for (const [node, until] of this.silent) if (until <= now) this.silent.delete(node);
    for (const node of nodes) this.silent.set(node, now + SILENT_MS);
    this.log(`as these nodes did not answer: ${nodes.map((node) => JSON.stringify(node)).join(', ')}`);
  }

  private log(why: string): void {
    this.deps.journal.warn(
      'user_connections',
      () =>
        `Connections of users are counted without some nodes, ${why}. A user may have more than limits.maxConnectionsPerUser for a time`,
    );
  }
}
