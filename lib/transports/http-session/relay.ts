import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { NodeLink } from '../../core/ports/node-link.js';
import { LEAVING, type Refusal } from '../../core/ports/transport-host.js';
import { TRY_LATER } from '../http/refusal.js';
import { BUSY, endAnswer, NO_SESSION, OTHER_ORIGIN, refusalAnswer, type Answer } from './answer.js';
import { AnswerRoom } from './answer-room.js';
import type { WhenGone } from './poll-carrier.js';
import { RelayBounds } from './relay-bounds.js';
import { decodeRelay, encodeRelay, GO_ON, type RelayedRequest, type RelayMessage } from './relay-codec.js';
import { RelayService } from './relay-service.js';
import { RestingSessions } from './resting-sessions.js';
import type { SessionAnswers, SessionRequest } from './requests.js';
import { nodeKeyIn, nodeKeyOf } from './session-id.js';
import { UnknownIds } from './unknown-ids.js';

/** How long the other node may take to answer a request, or to confirm that it waits there. */
const CONFIRM_MS = 5_000;
/** How long a body that was confirmed may wait until its session reads: longer than it waits there. */
const SEND_MS = 10_000;
/** Between two looks whether the nodes live at which requests wait. */
const LOOK_MS = 2_000;
/** Most bytes of a body that is carried without asking its node first whether it takes it. */
const MAX_UNASKED_BYTES = 16 * 1024;
/** Most characters of what a client says: an id has 44. */
const MAX_ID = 128;
const MAX_ORIGIN = 4_096;
/** Most nodes whose names in ids are kept. */
const MAX_KEYS = 1_024;

const TOO_MANY: Refusal = {
  status: 429,
  message: 'Too many requests of this address wait for other nodes',
  code: 'rate_limited',
  retryAfterMs: 1_000,
};
const GUESSES: Refusal = {
  status: 429,
  message: 'Too many requests of this address name sessions that there are not',
  code: 'rate_limited',
  retryAfterMs: 1_000,
};
const NO_BODY = Buffer.alloc(0);

/** A request that another node has to answer. */
interface Forward {
  readonly node: string;
  readonly kind: RelayedRequest['kind'];
  readonly network: string;
  readonly bytes: number;
  readonly answer: (answer: Answer) => void;
  timer: Scheduled;
  /** Whether it waits at the other node. */
  held: boolean;
  /** Whether that node was missing at the last look. */
  missing: boolean;
}

export interface SessionRelayDeps {
  readonly link: NodeLink;
  /** Under which nodes send one another requests and answers: one for each transport of an engine. */
  readonly topic: string;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'token'>;
  /** How long a poll waits at its node, in milliseconds. */
  readonly pollMs: number;
  /** Answers the requests of sessions of this node. */
  readonly answers: SessionAnswers;
  readonly onError: (error: unknown) => void;
}

/**
 * Carries the requests of sessions that other nodes hold to them, and their answers back; and answers what they carry here (P21). What
 * it does not know is 503, and the client sends it again, with the same number: a session is only gone (410) when no live node has it.
 */
export class SessionRelay {
  private readonly forwards = new Map<number, Forward>();
  private readonly bounds = new RelayBounds();
  private readonly room = new AnswerRoom();
  private readonly resting: RestingSessions;
  private readonly unknown: UnknownIds;
  private readonly service: RelayService;
  private readonly process: string;
  /** Names of nodes in ids, by node. */
  private readonly keys = new Map<string, string>();
  private count = 0;
  private looking: Scheduled | undefined;
  private closed = false;

  constructor(private readonly deps: SessionRelayDeps) {
    const { link, topic, answers, clock, onError, entropy } = deps;
    this.process = entropy.token();
    this.resting = new RestingSessions(clock);
    this.unknown = new UnknownIds(clock);
    this.service = new RelayService({ link, topic, answers, clock, onError });
    link.listen(topic, (from, bytes) => this.receive(from, bytes));
  }

  /** Requests that other nodes have yet to answer. */
  get size(): number {
    return this.forwards.size;
  }

  /** Requests of other nodes that wait here. */
  get served(): number {
    return this.service.size;
  }

  /**
   * Looks at a request before its body is read. Whether the session takes a large one is asked at its node: the bodies of who guesses
   * ids, or sends out of turn, are neither read nor carried.
   *
   * @param bytes of the body; `NaN` where that is not known.
   * @returns its answer, where it needs no body.
   */
  async beginSend(request: SessionRequest, bytes: number): Promise<Answer | undefined> {
    const { session, network } = request;
    if (this.resting.isResting(session)) return refusalAnswer(BUSY);
    if (!this.unknown.mayAsk(session, network)) return refusalAnswer(GUESSES);
    if (bytes <= MAX_UNASKED_BYTES) {
      const node = await this.find(session);
      return typeof node === 'string' ? undefined : node;
    }
    const answer = await this.forward('begin', request, NO_BODY, () => undefined);
    return answer.status === GO_ON.status ? undefined : this.noted(request, answer);
  }

  /** Takes the body of a request that {@link beginSend} has passed. */
  async finishSend(request: SessionRequest, body: Buffer): Promise<Answer> {
    const kind = body.length > MAX_UNASKED_BYTES ? 'finish' : 'send';
    return this.noted(request, await this.forward(kind, request, body, () => undefined));
  }

  tooLarge(request: SessionRequest): Promise<Answer> {
    return this.forward('large', request, NO_BODY, () => undefined);
  }

  poll(request: SessionRequest, whenGone: WhenGone): Promise<Answer> {
    return this.forward('poll', request, NO_BODY, whenGone);
  }

  /** Events were erased: no answer that waits for another node has one of them. */
  erase(seqs: readonly number[]): void {
    this.service.erase(seqs);
  }

  /** Refuses what waits for other nodes. What came from them is still answered, as the sessions here continue to their end. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.looking?.cancel();
    for (const number of [...this.forwards.keys()]) this.giveUp(number, refusalAnswer(LEAVING));
  }

  private noted({ session }: SessionRequest, answer: Answer): Answer {
    if (answer.status === 429) this.resting.rest(session);
    return answer;
  }

  private async forward(
    kind: RelayedRequest['kind'],
    { session, number, origin, network }: SessionRequest,
    body: Buffer,
    whenGone: WhenGone,
  ): Promise<Answer> {
    if (origin !== undefined && origin.length > MAX_ORIGIN) return refusalAnswer(OTHER_ORIGIN);
    if (!this.unknown.mayAsk(session, network)) return refusalAnswer(GUESSES);
    const excess = this.bounds.enter(network, body.length);
    if (excess !== undefined) return refusalAnswer(excess === 'address' ? TOO_MANY : TRY_LATER);
    let isGone = false;
    let onGone = (): void => undefined;
    whenGone(() => {
      isGone = true;
      onGone();
    });
    const node = await this.find(session);
    if (typeof node !== 'string' || isGone || this.closed) {
      this.bounds.leave(network, body.length);
      return typeof node === 'string' ? refusalAnswer(TRY_LATER) : node;
    }
    const carried = { kind, session, number, origin, body, room: this.bounds.room };
    const answer = await this.carry(node, carried, network, (leave) => (onGone = leave));
    if (answer.status === 410) this.unknown.noteUnknown(session, network);
    // Neither of these needs to be the word of its node.
    else if (answer.status !== 503 && answer.status !== 429) this.unknown.noteKnown(session);
    return answer;
  }

  /** Sends a request that was counted, and waits for what becomes of it. */
  private carry(
    node: string,
    request: RelayedRequest,
    network: string,
    whenGone: (leave: () => void) => void,
  ): Promise<Answer> {
    const id = ++this.count;
    const later = (): Answer => refusalAnswer(TRY_LATER);
    return new Promise((answer) => {
      this.forwards.set(id, {
        node,
        kind: request.kind,
        network,
        bytes: request.body.length,
        answer,
        timer: this.deps.clock.schedule(CONFIRM_MS, () => this.giveUp(id, later())),
        held: false,
        missing: false,
      });
      // Nobody waits for the answer any more.
      whenGone(() => this.giveUp(id, later()));
      this.tell(node, { ...this.idOf(id), type: 'request', request }, () => this.end(id, later()));
    });
  }

  /** The live node that an id names; otherwise the answer to who asks for it. */
  private async find(session: string): Promise<string | Answer> {
    const key = session.length > MAX_ID ? undefined : nodeKeyIn(session);
    if (key === undefined) return endAnswer(410, NO_SESSION);
    try {
      for (const fresh of [false, true]) {
        const node = (await this.deps.link.alive(fresh)).find((name) => this.keyOf(name) === key);
        if (node !== undefined) return node;
      }
    } catch {
      return refusalAnswer(TRY_LATER);
    }
    return endAnswer(410, NO_SESSION);
  }

  private keyOf(node: string): string {
    let key = this.keys.get(node);
    if (key === undefined) {
      if (this.keys.size >= MAX_KEYS) this.keys.clear();
      key = nodeKeyOf(node);
      this.keys.set(node, key);
    }
    return key;
  }

  private receive(from: string, bytes: Uint8Array): void {
    const message = decodeRelay(bytes);
    if (message === undefined) return;
    if (message.type === 'request') return this.service.run(from, message, message.request);
    if (message.type === 'cancel') return this.service.cancel(from, message);
    if (message.type === 'take') return this.service.take(from, message);
    const { process, number } = message;
    if (process !== this.process || this.forwards.get(number)?.node !== from) return;
    if (message.type === 'answer') this.end(number, message.answer);
    else if (message.type === 'offer') this.offered(number, message.bytes);
    else this.hold(number);
  }

  private hold(id: number): void {
    const forward = this.forwards.get(id);
    if (forward === undefined || forward.held) return;
    const { clock, pollMs } = this.deps;
    forward.held = true;
    this.bounds.leave(forward.network, forward.bytes);
    this.bounds.hold();
    forward.timer.cancel();
    const waitMs = forward.kind === 'poll' ? pollMs + CONFIRM_MS : SEND_MS;
    forward.timer = clock.schedule(waitMs, () => this.giveUp(id, refusalAnswer(TRY_LATER)));
    this.looking ??= clock.schedule(LOOK_MS, this.look);
  }

  /** Takes an answer once there is room for it; where that takes too long, it stays what the session keeps for the next poll. */
  private offered(id: number, bytes: number): void {
    const forward = this.forwards.get(id);
    if (forward === undefined) return;
    const wait = (): void => {
      forward.timer.cancel();
      forward.timer = this.deps.clock.schedule(CONFIRM_MS, () => this.giveUp(id, refusalAnswer(TRY_LATER)));
    };
    wait();
    this.room.ask(id, forward.network, bytes, () => {
      wait();
      this.tell(forward.node, { ...this.idOf(id), type: 'take' });
    });
  }

  /** Answers in the place of the other node, and tells it that nobody waits. */
  private giveUp(id: number, answer: Answer): void {
    const node = this.end(id, answer)?.node;
    if (node !== undefined) this.tell(node, { ...this.idOf(id), type: 'cancel' });
  }

  private end(id: number, answer: Answer): Forward | undefined {
    const forward = this.forwards.get(id);
    if (forward === undefined) return undefined;
    this.forwards.delete(id);
    this.room.leave(id);
    forward.timer.cancel();
    if (forward.held) this.bounds.release();
    else this.bounds.leave(forward.network, forward.bytes);
    forward.answer(answer);
    return forward;
  }

  private tell(node: string, message: RelayMessage, onFailed: () => void = () => undefined): void {
    const { link, topic } = this.deps;
    link.send(node, topic, encodeRelay(message)).catch(onFailed);
  }

  private idOf(number: number): { readonly process: string; readonly number: number } {
    return { process: this.process, number };
  }

  /** Ends what waits at nodes that are gone. One look alone may have met a storage that was just emptied. */
  private readonly look = (): void => {
    void this.deps.link
      .alive()
      .then((nodes) => {
        const live = new Set(nodes);
        for (const [id, forward] of [...this.forwards]) {
          if (!forward.held) continue;
          const isMissing = !live.has(forward.node);
          if (isMissing && forward.missing) this.end(id, endAnswer(410, NO_SESSION));
          forward.missing = isMissing;
        }
      })
      // Nothing is known of the nodes: what waits there has its own time.
      .catch(() => undefined)
      .then(() => {
        const isNeeded = !this.closed && [...this.forwards.values()].some(({ held }) => held);
        this.looking = isNeeded ? this.deps.clock.schedule(LOOK_MS, this.look) : undefined;
      });
  };
}
