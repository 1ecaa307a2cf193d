import { trimOldest } from '../../core/async/oldest.js';
import type { Clock } from '../../core/ports/clock.js';
import type { NodeLink } from '../../core/ports/node-link.js';
import { isPromise, whenReady, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { TRY_LATER } from '../http/refusal.js';
import { bytesIn, refusalAnswer, type Answer } from './answer.js';
import { encodeRelay, GO_ON, type RelayedRequest, type RelayId } from './relay-codec.js';
import { RelayOffers } from './relay-offers.js';
import type { SessionAnswers } from './requests.js';

/** Most requests of other nodes that wait here, and bytes of their bodies. */
const MAX_WAITING = 131_072;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** Most bytes of an answer that took a while and is sent without having been offered: many may come at once. */
const MAX_LATE_BYTES = 4 * 1024;
/** Most nodes whose last request is remembered. */
const MAX_PEERS = 1_024;

interface Waiting {
  readonly bytes: number;
  /** As in {@link RelayedRequest.room}. */
  readonly room: number;
  /** Ends the wait for a client that is gone. */
  gone: (() => void) | undefined;
}

export interface RelayServiceDeps {
  readonly link: NodeLink;
  /** Under which answers are sent. */
  readonly topic: string;
  readonly answers: SessionAnswers;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Answers requests of the sessions of this node that came to another one. */
export class RelayService {
  private readonly waiting = new Map<string, Waiting>();
  private waitingBytes = 0;
  private readonly offers: RelayOffers;
  /** The last request of each node. They come in order, so an earlier one has come before, or is too late. */
  private readonly last = new Map<string, RelayId>();

  constructor(private readonly deps: RelayServiceDeps) {
    this.offers = new RelayOffers(deps.clock);
  }

  /** Requests that wait for their answer. */
  get size(): number {
    return this.waiting.size;
  }

  run(from: string, id: RelayId, request: RelayedRequest): void {
    if (!this.isNew(from, id)) return;
    const { room } = request;
    const { length } = request.body;
    if (this.waiting.size >= MAX_WAITING || this.waitingBytes + length > MAX_WAITING_BYTES)
      return this.answer(from, id, refusalAnswer(TRY_LATER));
    const waiting: Waiting = { bytes: length, room, gone: undefined };
    let answer: MaybePromise<Answer>;
    try {
      answer = this.begin(request, waiting);
    } catch (error) {
      this.deps.onError(error);
      return this.answer(from, id, refusalAnswer(TRY_LATER));
    }
    if (isPromise(answer)) this.hold(from, id, waiting, answer);
    else this.answer(from, id, answer, room);
  }

  cancel(from: string, id: RelayId): void {
    const name = nameOf(from, id);
    this.offers.take(name);
    this.end(name)?.gone?.();
  }

  /** The node has room for what it was offered. */
  take(from: string, id: RelayId): void {
    const answer = this.offers.take(nameOf(from, id));
    if (answer !== undefined) this.answer(from, id, answer);
  }

  /** Events were erased: no answer that waits for another node has one of them. */
  erase(seqs: readonly number[]): void {
    this.offers.erase(seqs);
  }

  private begin(request: RelayedRequest, waiting: Waiting): MaybePromise<Answer> {
    const { kind, session, number, origin, body } = request;
    const carried = { session, number, origin, network: '' };
    const { answers } = this.deps;
    if (kind === 'send') return answers.send(carried, body);
    if (kind === 'begin') return whenReady(answers.beginSend(carried), (early) => early ?? GO_ON);
    if (kind === 'finish') return answers.finishSend(carried, body);
    if (kind === 'large') return answers.tooLarge(carried);
    return answers.poll(carried, (callback) => (waiting.gone = callback));
  }

  private hold(from: string, id: RelayId, waiting: Waiting, answer: Promise<Answer>): void {
    const name = nameOf(from, id);
    this.waiting.set(name, waiting);
    this.waitingBytes += waiting.bytes;
    // Most answers are there in this turn.
    setImmediate(() => {
      if (this.waiting.get(name) === waiting)
        this.send(from, encodeRelay({ ...id, type: 'held' })).catch(() => undefined);
    });
    answer
      .catch((error: unknown) => {
        this.deps.onError(error);
        return refusalAnswer(TRY_LATER);
      })
      .then((made) => {
        // A client that is gone is sent nothing.
        if (this.end(name) !== undefined) this.answer(from, id, made, Math.min(waiting.room, MAX_LATE_BYTES));
      })
      .catch(this.deps.onError);
  }

  private end(name: string): Waiting | undefined {
    const waiting = this.waiting.get(name);
    if (waiting === undefined) return undefined;
    this.waiting.delete(name);
    this.waitingBytes -= waiting.bytes;
    return waiting;
  }

  /** Sends an answer, or offers one that is larger than the room that there is for it unasked. */
  private answer(to: string, id: RelayId, answer: Answer, room = Infinity): void {
    const bytes = bytesIn(answer);
    const refuse = (): Promise<void> =>
      this.send(to, encodeRelay({ ...id, type: 'answer', answer: refusalAnswer(TRY_LATER) }));
    const isOffered = bytes > room;
    const offer = { ...id, type: 'offer', bytes } as const;
    const sent =
      isOffered && !this.offers.add(nameOf(to, id), answer)
        ? refuse()
        : this.send(to, encodeRelay(isOffered ? offer : { ...id, type: 'answer', answer })).catch(refuse);
    // As if it were lost on its way: the other node answers in its place, and the client asks again.
    sent.catch(() => undefined);
  }

  private send(to: string, bytes: Buffer): Promise<void> {
    const { link, topic } = this.deps;
    return link.send(to, topic, bytes);
  }

  private isNew(from: string, id: RelayId): boolean {
    const last = this.last.get(from);
    if (last !== undefined && last.process === id.process && id.number <= last.number) return false;
    this.last.delete(from);
    this.last.set(from, id);
    trimOldest(this.last, MAX_PEERS);
    return true;
  }
}

function nameOf(from: string, { process, number }: RelayId): string {
  return `${number} ${process} ${from}`;
}
