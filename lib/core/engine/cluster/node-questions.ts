import { RealtimeError } from '../../../protocol/realtime-error.js';
import { trimOldest } from '../../async/oldest.js';
import type { ThrottledLog } from '../../async/throttled-log.js';
import { withTimeout } from '../../async/with-timeout.js';
import type { BrokerBus } from '../../ports/broker.js';
import type { Clock, Scheduled } from '../../ports/clock.js';
import type { Entropy } from '../../ports/entropy.js';
import { attempt, type MaybePromise } from '../../ports/maybe-promise.js';
import type { NodeLink } from '../../ports/node-link.js';
import { decodeQuestion, encodeQuestion, type QuestionId, type QuestionMessage } from './question-codec.js';

/** The topic under which nodes ask one another. */
export const QUESTION_TOPIC = 'question';
/** Most questions of this node that are under way, and of other nodes that are being answered here. */
const MAX_ASKED = 1_024;
const MAX_SERVED = 256;
/** How long a node that asked is asked, too, although the list of live nodes may be too old to have it. Longer than that list lasts. */
const HEARD_MS = 2_000;
const MAX_HEARD = 1_024;
/** How long a node that starts or stops looks for the others. */
const LEAVE_MS = 500;
/** How long it counts that there was no other node. */
const ALONE_MS = 1_000;

/** What the nodes answered. */
export interface Answers<A> {
  /** By the id of the node. */
  readonly byNode: ReadonlyMap<string, A>;
  /** Ids of the nodes that did not answer in time, do not know the question, or could not read it. */
  readonly missing: readonly string[];
}

/** Answers a question, of this node or another. What it throws is no answer. */
export type Answerer = (body: unknown, from: string) => MaybePromise<unknown>;

/** How an answer is read; `undefined` for what is none. */
export type AnswerReader<A> = (body: unknown) => A | undefined;

interface Asked {
  readonly waitsFor: Set<string>;
  readonly onAnswer: (node: string, body: unknown) => void;
  readonly done: () => void;
  timer: Scheduled | undefined;
}

export interface NodeQuestionsDeps {
  readonly nodeId: string;
  /** `undefined` where the broker carries nothing between nodes: then this node is alone. */
  readonly link: NodeLink | undefined;
  readonly bus: Pick<BrokerBus, 'nodes'>;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'token'>;
  readonly journal: ThrottledLog;
}

/**
 * Asks the live nodes something, this one included, and collects what they answer in time. Nothing is kept of what other nodes
 * said, and a node that is gone, stands still, or is of another version costs a time-out: it is named as missing.
 */
export class NodeQuestions {
  private readonly asked = new Map<number, Asked>();
  private readonly answerers = new Map<string, Answerer>();
  /** Nodes that asked this one lately, with the monotonic time. */
  private readonly heard = new Map<string, number>();
  /** Nodes that stopped a moment ago, with the monotonic time. */
  private readonly left = new Map<string, number>();
  private readonly process: string;
  private readonly stopListening: () => void;
  /** On the monotonic clock: when the list of live nodes named this one only. */
  private aloneAt = -Infinity;
  private count = 0;
  private served = 0;
  private closed = false;

  constructor(private readonly deps: NodeQuestionsDeps) {
    this.process = deps.entropy.token();
    this.stopListening =
      deps.link?.listen(QUESTION_TOPIC, (from, bytes) => this.receive(from, bytes)) ?? (() => undefined);
  }

  get nodeId(): string {
    return this.deps.nodeId;
  }

  /** Questions of this node that are under way. */
  get size(): number {
    return this.asked.size;
  }

  /**
   * To be called when the broker has started: a node that knows that it is alone has nobody to ask about its first clients. Where it
   * cannot be known, they find out. Not through the link, which would keep a list that lacks the nodes that start beside this one.
   */
  async start(): Promise<void> {
    const { link, nodeId, clock, bus } = this.deps;
    if (link === undefined || bus.nodes === undefined) return;
    const askedAt = clock.monotonic();
    try {
      const alive = await withTimeout(bus.nodes(), LEAVE_MS, clock);
      if (alive.every((node) => node === nodeId)) this.aloneAt = askedAt;
    } catch {
      // Asked again at the first question.
    }
  }

  /** Whether no other node lived a moment ago, nor has asked this one since: then there is nobody to ask. */
  get isAlone(): boolean {
    const { link, clock } = this.deps;
    return link === undefined || (this.heard.size === 0 && clock.monotonic() - this.aloneAt < ALONE_MS);
  }

  /** Gives the answers to a kind of question. */
  serve(kind: string, answerer: Answerer): void {
    this.answerers.set(kind, answerer);
  }

  /**
   * Ids of the nodes that live, this one included, in the order of their names. It may be a second old.
   *
   * @throws RealtimeError `unavailable` or `timeout` where that cannot be known now.
   */
  async nodes(timeoutMs: number): Promise<readonly string[]> {
    const { link, nodeId, clock } = this.deps;
    if (link === undefined) return [nodeId];
    const askedAt = clock.monotonic();
    const alive = await withTimeout(link.alive(), timeoutMs, clock);
    const now = clock.monotonic();
    this.aloneAt = alive.every((node) => node === nodeId) ? askedAt : -Infinity;
    for (const kept of [this.heard, this.left])
      for (const [node, at] of kept) if (now - at >= HEARD_MS) kept.delete(node);
    const all = new Set([...alive, ...this.heard.keys(), nodeId]);
    return [...all].filter((node) => !this.left.has(node)).sort();
  }

  /**
   * @param read reads an answer; a node whose answer it cannot read counts as missing.
   * @throws RealtimeError `unavailable` where too many questions are under way, or the engine has stopped.
   */
  async ask<A>(
    kind: string,
    body: unknown,
    {
      nodes,
      timeoutMs,
      read,
    }: { readonly nodes: readonly string[]; readonly timeoutMs: number; readonly read: AnswerReader<A> },
  ): Promise<Answers<A>> {
    if (this.closed) throw new RealtimeError('unavailable', 'The engine has stopped');
    if (this.asked.size >= MAX_ASKED)
      throw new RealtimeError('unavailable', 'Too many questions to other nodes are under way', {
        retryAfterMs: 1_000,
      });
    const byNode = new Map<string, A>();
    const waitsFor = new Set(nodes);
    if (waitsFor.size === 0) return { byNode, missing: [] };
    const number = ++this.count;
    const id: QuestionId = { process: this.process, number };
    await new Promise<void>((done) => {
      const onAnswer = (node: string, answer: unknown): void => {
        const known = answer === undefined ? undefined : read(answer);
        if (known !== undefined) byNode.set(node, known);
        else if (answer !== undefined) this.refuse(node, `its answer to "${kind}"`);
      };
      const asked: Asked = { waitsFor, onAnswer, done, timer: undefined };
      this.asked.set(number, asked);
      asked.timer = this.deps.clock.schedule(timeoutMs, () => this.end(number));
      const bytes = this.encode({ ...id, type: 'ask', kind, body });
      for (const node of [...waitsFor]) this.askOne(node, number, kind, body, bytes);
    });
    return { byNode, missing: nodes.filter((node) => !byNode.has(node)) };
  }

  /** Ends what is under way, with the answers that came, and tells the others not to wait for this node. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.stopListening();
    for (const number of [...this.asked.keys()]) this.end(number);
    await this.leave();
  }

  private askOne(node: string, number: number, kind: string, body: unknown, bytes: Buffer | undefined): void {
    const fail = (): void => this.settle(number, node, undefined);
    if (node === this.deps.nodeId) {
      void attempt(
        () => this.answererOf(kind)(body, node),
        (answer) => this.settle(number, node, answer),
        (error) => {
          this.deps.journal.error('own_question', () => `This node could not answer "${kind}"`, error);
          fail();
        },
      );
    } else if (bytes === undefined) fail();
    else this.deps.link?.send(node, QUESTION_TOPIC, bytes).catch(fail);
  }

  private answererOf(kind: string): Answerer {
    const answerer = this.answerers.get(kind);
    if (answerer === undefined) throw new RangeError('A question that this version does not know');
    return answerer;
  }

  private receive(from: string, bytes: Uint8Array): void {
    const message = decodeQuestion(bytes);
    if (message === undefined) return this.refuse(from, `${bytes.length} bytes`);
    if (message.type === 'ask') return this.serveOne(from, message);
    if (message.type === 'leave') return this.forget(from);
    // Of a question that has ended, or of an earlier process with this name.
    if (message.process !== this.process) return;
    this.settle(message.number, from, message.type === 'answer' ? message.body : undefined);
  }

  private serveOne(from: string, { process, number, kind, body }: QuestionMessage & { type: 'ask' }): void {
    const { clock } = this.deps;
    this.left.delete(from);
    remember(this.heard, from, clock.monotonic());
    const id = { process, number };
    const no = (): void => this.send(from, { ...id, type: 'no' });
    if (this.closed || this.served >= MAX_SERVED) return no();
    this.served++;
    void attempt(
      () => this.answererOf(kind)(body, from),
      (answer) => {
        this.served--;
        this.send(from, { ...id, type: 'answer', body: answer });
      },
      () => {
        this.served--;
        this.refuse(from, `its question "${this.answerers.has(kind) ? kind : 'of another version'}"`);
        no();
      },
    );
  }

  private async leave(): Promise<void> {
    const { link, nodeId, clock } = this.deps;
    if (link === undefined) return;
    try {
      for (const node of await withTimeout(link.alive(), LEAVE_MS, clock))
        if (node !== nodeId) this.send(node, { process: this.process, number: 0, type: 'leave' });
    } catch {
      // The others find out.
    }
  }

  private forget(node: string): void {
    this.heard.delete(node);
    remember(this.left, node, this.deps.clock.monotonic());
    for (const number of [...this.asked.keys()]) this.settle(number, node, undefined);
  }

  private send(node: string, message: QuestionMessage): void {
    const bytes =
      this.encode(message) ?? this.encode({ process: message.process, number: message.number, type: 'no' });
    // Who asked has a time-out of its own.
    if (bytes !== undefined) this.deps.link?.send(node, QUESTION_TOPIC, bytes).catch(() => undefined);
  }

  private encode(message: QuestionMessage): Buffer | undefined {
    try {
      return encodeQuestion(message);
    } catch (error) {
      this.deps.journal.error('question_size', () => 'A message to another node could not be made', error);
      return undefined;
    }
  }

  /** @param answer `undefined` for none. */
  private settle(number: number, node: string, answer: unknown): void {
    const asked = this.asked.get(number);
    if (asked?.waitsFor.delete(node) !== true) return;
    asked.onAnswer(node, answer);
    if (asked.waitsFor.size === 0) this.end(number);
  }

  private end(number: number): void {
    const asked = this.asked.get(number);
    this.asked.delete(number);
    asked?.timer?.cancel();
    asked?.done();
  }

  private refuse(node: string, what: string): void {
    this.deps.journal.warn(
      'node_question',
      () =>
        `Node ${JSON.stringify(node)} sent what this node cannot read: ${what}. Nodes of one cluster should have one version`,
    );
  }
}

function remember(kept: Map<string, number>, node: string, now: number): void {
  kept.delete(node);
  kept.set(node, now);
  trimOldest(kept, MAX_HEARD);
}
