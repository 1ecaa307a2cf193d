import type { Clock } from '../../core/ports/clock.js';
import {
  ABNORMAL,
  type Connection,
  type ConnectionHandler,
  type FrameVerdict,
  type Handshake,
  type WireVariant,
} from '../../core/ports/connection.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import { CLOSE_CODES, parseCloseReason } from '../../protocol/close-codes.js';
import type { Envelope } from '../../protocol/envelope.js';
import { PROTOCOL_VERSION } from '../../protocol/envelope.js';
import type { ByePayload, SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { errorBody, type ErrorBody } from '../../protocol/error-body.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { lastWord } from '../http/last-word.js';
import {
  blockOf,
  BLOCK_ID,
  COMMENT,
  errorBlock,
  noteOf,
  withId,
  type BlockVariants,
  type Identified,
} from './blocks.js';
import { ChannelAsker, type AskingClient, type RetryAdvice } from './channel-asker.js';
import type { EventStream, EventStreamEvents } from './event-stream.js';
import type { FeedRequest } from './feed-request.js';
import { refusalAfter } from './feed-refusal.js';
import { spread, type Beating, type Beats, type IdPace, type Paced } from './pace.js';
import { Places } from './places.js';
import { MAX_ID_BYTES, STOP_ID } from './resume-id.js';

/** Bytes after which the client is told where it stands, before its time has come. */
const ID_AFTER_BYTES = 64 * 1024;
/** Longest wait before a client whose token ran out comes back, in milliseconds: nothing else is wrong. */
const TOKEN_RETRY_MS = 500;

const HELLO = {
  type: 'hello',
  id: 'hello',
  payload: { versions: [PROTOCOL_VERSION], client: { name: 'sse' } },
};

/** What a client asked for. */
export interface FeedPlan extends FeedRequest {
  /** Headers beside those of every stream. */
  readonly headers: Readonly<Record<string, string>>;
  /** Answers a client that was refused before its stream began. */
  readonly refuse: (refusal: Refusal) => void;
}

/** What the feeds of a transport share. */
export interface FeedDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly firstSpreadMs: number };
  readonly variants: BlockVariants;
  readonly ids: IdPace;
  readonly beats: Beats;
  readonly onError: (error: unknown) => void;
}

/**
 * One plain stream (P20): a session whose client cannot send. It says `hello` and subscribes for the client, turns the answers into
 * messages that need no `ref`, and tells the client where it stands.
 */
export class Feed implements Connection, EventStreamEvents, Paced, Beating, AskingClient {
  readonly oneWay = true;
  readonly variant: WireVariant;
  sentAt = 0;
  private handler: ConnectionHandler | undefined;
  private state: 'greeting' | 'live' | 'ended' = 'greeting';
  private readonly places: Places;
  private readonly asker: ChannelAsker;
  private readonly isSingle: boolean;
  private lastId: string | undefined;
  /** It stood in a block of its own, which some parsers pass over (npm `eventsource`): the next block has it, too. */
  private idToRepeat: string | undefined;
  private isTooLong = false;
  private bytesSinceId = 0;
  /** What the socket held back at the last sign of life. */
  private stuckBytes = 0;
  private isPaced = false;
  private refused: ErrorBody | undefined;
  private advice: ByePayload | undefined;
  private closeCode: number | undefined;

  constructor(
    readonly handshake: Handshake,
    private readonly plan: FeedPlan,
    private readonly stream: EventStream,
    private readonly deps: FeedDeps,
  ) {
    const { channels, named, lastEventId } = plan;
    this.isSingle = channels.length === 1;
    this.variant = deps.variants.of({ chunked: stream.chunked, named, single: this.isSingle });
    this.places = new Places(channels, lastEventId);
    this.asker = new ChannelAsker(channels, deps, this);
  }

  get copiesFrames(): boolean {
    return this.stream.copiesFrames;
  }

  get bufferedBytes(): number {
    return this.stream.bufferedBytes;
  }

  /** Begins the session. @param open makes it, and may refuse at once. */
  start(open: () => ConnectionHandler): void {
    this.stream.own(this);
    this.guard(() => {
      this.handler = open();
      if (this.state !== 'ended') this.send(HELLO);
    });
  }

  frame(blocks: readonly Buffer[]): Buffer {
    const { variant } = this;
    return variant.frame(
      blocks.some((block) => noteOf(block) !== undefined)
        ? blocks.flatMap((block) => this.identify(block))
        : blocks,
    );
  }

  write(frame: Buffer): boolean {
    this.sentAt = this.deps.beats.stamp;
    this.stuckBytes = 0;
    if (this.isSingle || frame.length === 0) return this.stream.write(frame);
    const id = this.idToRepeat;
    this.idToRepeat = undefined;
    this.idIsDue(frame.length);
    // The first field of the first block of the frame, which others are sent too.
    return id === undefined ? this.stream.write(frame) : this.stream.writeBehind(`id: ${id}\n`, frame);
  }

  pause(): void {
    this.asker.pause();
  }

  resume(): void {
    // The engine is in the middle of something.
    queueMicrotask(() => this.asker.resume());
  }

  /** @internal */
  translate(envelope: Envelope): Envelope | undefined {
    switch (envelope.type) {
      case 'welcome':
        this.begin();
        return undefined;
      case 'reply':
        return this.outcomeOf(envelope);
      case 'error':
        return this.refusalOf(envelope);
      case 'reset':
        return this.resetOf(envelope);
      case 'resumed':
        return this.resumedOf(envelope);
      case 'unsubscribed':
        return this.endOf(envelope);
      case 'auth_required':
        // The client cannot: its stream ends with its token.
        return undefined;
      case 'bye':
        this.advice = envelope.payload as ByePayload;
        return envelope;
      default:
        return envelope;
    }
  }

  /** @internal */
  onEnding(): void {
    this.confirmPlaces();
  }

  close(code: number, reason: string): void {
    if (this.state === 'ended') return;
    const wasLive = this.state === 'live';
    this.stop();
    this.closeCode = code;
    const { retryAfterMs = 0 } = parseCloseReason(reason);
    if (wasLive) this.stream.end(this.lastBlock(code, retryAfterMs));
    else this.plan.refuse(refusalAfter(code, retryAfterMs, this.refused));
  }

  terminate(): void {
    this.stop();
    this.stream.destroy();
  }

  /** @internal */
  onDrain(): void {
    this.guard(() => this.handler?.onDrain());
  }

  /** @internal */
  onGone(): void {
    this.stop();
    const { handler } = this;
    this.handler = undefined;
    this.guard(() => handler?.onClose(this.closeCode ?? ABNORMAL));
  }

  /** @internal */
  beat(): void {
    this.sentAt = this.deps.beats.stamp;
    const { stuckBytes } = this;
    this.stuckBytes = this.stream.bufferedBytes;
    // Bytes are under way, and a comment behind them would be kept, too.
    if (this.stuckBytes === 0) this.stream.writeText(COMMENT);
    // The client read none of them in a whole interval. It cannot say that it lives, and would be kept for ever.
    else if (this.stuckBytes === stuckBytes) this.terminate();
  }

  /** @internal */
  writeId(): void {
    this.isPaced = false;
    this.bytesSinceId = 0;
    if (this.state !== 'live') return;
    this.confirmPlaces();
    const { id } = this.places;
    if (id === this.lastId) return;
    this.sentAt = this.deps.beats.stamp;
    if (id === undefined) {
      this.stream.writeText(this.tooLong());
      return;
    }
    this.lastId = id;
    this.idToRepeat = id;
    this.stream.writeText(blockOf({ id }));
  }

  private begin(): void {
    const { beats } = this.deps;
    this.state = 'live';
    beats.add(this);
    this.sentAt = beats.stamp;
    this.stream.begin(this.plan.headers);
    this.stream.writeText(blockOf({ retryMs: this.spread() }));
    // Behind `welcome`, which the engine is writing.
    queueMicrotask(() => {
      if (this.state === 'live') this.asker.start();
    });
  }

  private outcomeOf(envelope: Envelope): Envelope | undefined {
    const channel = this.asker.channelOf(envelope.ref);
    if (channel === undefined) return undefined;
    this.asker.succeeded(channel);
    const { ts, payload } = envelope as Envelope & { readonly ts: number };
    const body = payload as SubscribeResult;
    const isLost = body.recovery === 'new' && this.places.isUnread(channel);
    const outcome = isLost ? { ...body, recovery: 'lost', reason: 'unreadable' } : body;
    const note = this.places.noteOfOutcome(channel, body);
    return identified({ type: 'subscribed', channel, ts, payload: outcome }, note);
  }

  private resetOf(envelope: Envelope): Envelope {
    // What the client keeps its place from may not have been asked for since.
    this.confirmPlaces();
    const { channel = '', payload } = envelope;
    return identified(envelope, this.places.noteOfOutcome(channel, payload as SubscribeResult));
  }

  /** Everything that was missed precedes it. */
  private resumedOf(envelope: Envelope): Envelope {
    const { channel, epoch, seq } = envelope;
    if (channel === undefined || epoch === undefined || seq === undefined) return envelope;
    return identified(envelope, this.places.noteOfReached(channel, { epoch, seq }));
  }

  private refusalOf(envelope: Envelope): Envelope | undefined {
    const body = envelope.payload as ErrorBody;
    if (envelope.ref === HELLO.id) this.refused = body;
    const channel = this.asker.channelOf(envelope.ref);
    if (channel === undefined || this.state !== 'live') return undefined;
    return this.without(channel, body, { type: 'error', channel, ts: envelope.ts, payload: body });
  }

  private endOf(envelope: Envelope): Envelope | undefined {
    const channel = envelope.channel as string;
    // Where its answer was taken back, an error in the place of it said so (P24a).
    if (!this.asker.isSubscribed(channel)) return undefined;
    return this.without(channel, envelope.payload as ErrorBody & RetryAdvice, envelope);
  }

  /** The channel is not subscribed to: for a time, which the client need not know of, or for good. */
  private without(channel: string, body: ErrorBody & RetryAdvice, message: Envelope): Envelope | undefined {
    if (body.retryable) {
      this.asker.failedForNow(channel, body, body.code === 'rate_limited');
      return undefined;
    }
    this.asker.drop(channel);
    if (this.asker.isNeeded) return message;
    // Nothing will ever come, and a client that came back would be refused in the same way.
    queueMicrotask(() => this.leave());
    return identified(message, STOP_ID);
  }

  private leave(): void {
    if (this.state === 'live') this.guard(() => this.send({ type: 'bye', id: 'bye' }));
  }

  /** The block as it is written: with the id behind it in the place of its note. */
  private identify(block: Buffer): Buffer | readonly Buffer[] {
    const note = noteOf(block);
    if (note === undefined) return block;
    this.places.follow(note);
    const { id } = this.places;
    if (id === undefined) return Buffer.from(this.tooLong());
    this.lastId = id;
    return withId(block, id);
  }

  /** Proxies would refuse a reconnect with an id as long as that, and without one events would be lost in silence. */
  private tooLong(): string {
    if (this.isTooLong) return '';
    this.isTooLong = true;
    this.idToRepeat = undefined;
    queueMicrotask(() => this.leave());
    const { channels } = this.plan;
    const message =
      `The positions in ${channels.length} channels need an id of more than ${MAX_ID_BYTES} bytes: ` +
      'follow fewer of them with one stream';
    const payload = errorBody(new RealtimeError('message_too_large', message));
    const ts = this.deps.clock.now();
    return errorBlock(payload, ts, { id: STOP_ID });
  }

  /** What is sent behind everything else. */
  private lastBlock(code: number, retryAfterMs: number): string {
    // It left because nothing is left to follow, which it was told.
    if (code === CLOSE_CODES.normal.code) return '';
    const ts = this.deps.clock.now();
    const last = lastWord(code, retryAfterMs, ts);
    if (last.type === 'error') return errorBlock(last.payload, ts, { id: STOP_ID });
    return blockOf({
      id: this.places.id,
      retryMs: this.retryAfter(code, retryAfterMs),
      data: this.advice === undefined ? JSON.stringify(last) : undefined,
    });
  }

  private retryAfter(code: number, retryAfterMs: number): number {
    const { advice } = this;
    if (code === CLOSE_CODES.token_expired.code) return this.spread(TOKEN_RETRY_MS);
    if (advice !== undefined) return (advice.retryAfterMs ?? 0) + this.spread(advice.spreadMs);
    return retryAfterMs + this.spread();
  }

  /** A random wait, so that many who are cut at the same moment do not come back at the same moment. */
  private spread(withinMs = this.deps.retry.firstSpreadMs): number {
    return spread(this.deps.random, withinMs);
  }

  private confirmPlaces(): void {
    if (this.handler !== undefined) this.places.confirm(this.handler.positions());
  }

  private idIsDue(bytes: number): void {
    this.bytesSinceId += bytes;
    if (!this.isPaced) {
      this.isPaced = true;
      this.deps.ids.add(this);
    }
    if (this.bytesSinceId < ID_AFTER_BYTES) return;
    this.bytesSinceId = 0;
    // Not before the write has returned: the engine is asked.
    queueMicrotask(() => this.writeIdEarly());
  }

  /** The one whose time has not come stays due. */
  private writeIdEarly(): void {
    const { isPaced } = this;
    this.writeId();
    this.isPaced = isPaced;
  }

  /** @internal */
  positionOf(channel: string): Position | undefined {
    return this.places.get(channel);
  }

  /** @internal */
  send(command: object): FrameVerdict {
    const { handler } = this;
    return handler === undefined ? REFUSED : handler.onFrame(JSON.stringify(command));
  }

  private stop(): void {
    this.state = 'ended';
    this.asker.stop();
    this.deps.beats.remove(this);
  }

  /** An exception in a listener of a socket would end the process. */
  private guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.deps.onError(error);
      this.terminate();
    }
  }
}

const REFUSED = { outcome: 'refused', code: ABNORMAL } as const;

/** A message of the client's own with the id of its block, or the note of it. */
function identified(envelope: Envelope, id: string): Identified {
  return { ...envelope, [BLOCK_ID]: id };
}
