import type { Duplex } from 'node:stream';
import type { Scheduled } from '../../core/ports/clock.js';
import {
  ABNORMAL,
  type Connection,
  type ConnectionHandler,
  type Handshake,
  type WireVariant,
} from '../../core/ports/connection.js';
import type { TransportHost, UnfinishedSender } from '../../core/ports/transport-host.js';
import { anonymousOf } from '../../core/ports/user-id.js';
import { CLOSE_CODES, closeReason } from '../../protocol/close-codes.js';
import {
  isPlainTcp,
  NOT_WRITTEN,
  WRITE_FAILED,
  type DirectSocket,
  type DirectWriteEvents,
  type DirectWriter,
} from '../http/direct-writer.js';
import type { Leaving, Outgoing } from '../http/outgoing.js';
import type { InboundMeter, Metered } from './inbound-meter.js';
import type { WebSocketSettings } from './options.js';
import type { WireSocket, WireSocketEvents } from './wire-socket.js';

/** Longest reason of a close frame (RFC 6455 §5.5). */
const MAX_REASON_BYTES = 123;
/** Bytes that are read behind the close frame: what was under way, and the client's answer. */
const MAX_BYTES_BEHIND_CLOSE = 64 * 1024;
/** A message of which more is here, and not all, is a large one. */
const LARGE_PART_BYTES = 16 * 1024;
/** A larger chunk is more than one that sends little sends: it waits for its client's turn where others are kept waiting. */
const SMALL_CHUNK_BYTES = 1_024;
/** What is parsed of such a chunk in one turn. */
const PIECE_BYTES = 4 * 1024;
/** How long a client that floods has to read its close frame: until then its socket keeps what it sent, which is much. */
const FLOODER_LINGER_MS = 1_000;

const CONNECTION = Symbol('connection');
interface Owned {
  [CONNECTION]?: WebSocketConnection;
}
/** `setNoDelay` is absent on the in-memory streams that test tools inject. */
type RawSocket = Duplex & Owned & { setNoDelay?(noDelay: boolean): unknown };

/** What all connections of a transport share. */
export interface ConnectionSettings extends Pick<WebSocketSettings, 'clock' | 'closeTimeoutMs' | 'onError'> {
  readonly writer: DirectWriter;
  readonly meter: InboundMeter;
  readonly unfinished: TransportHost['unfinished'];
  /** Those whose client has not answered the close frame. */
  readonly outgoing: Outgoing;
}

/** A listener of ws on a socket. */
type SocketListener = (this: Duplex, ...args: unknown[]) => void;
/** What is put in its place. `listener` is what `removeListener` compares, with which ws takes its listeners away. */
interface WrappedListener extends SocketListener {
  listener?: SocketListener;
}

/**
 * One client on a WebSocket. Frames arrive here ready-made and go straight to the socket; ws reads, and does
 * pongs and the closing handshake. The listeners are shared functions: a connection costs no closures.
 */
export class WebSocketConnection
  implements Connection, WireSocketEvents, DirectWriteEvents, UnfinishedSender, Metered, Leaving
{
  /** Whether frames may be written: the state of ws, kept here because every write reads it. */
  private open = true;
  /** Bytes in libuv's queue, which are not in the socket's own. */
  private heldBytes = 0;
  private readonly writer: DirectWriter | undefined;
  /** @internal */
  credit = 0;
  /** @internal */
  paidAt = 0;
  /** @internal */
  cut: Metered['cut'];
  /** Nothing of this client is read any more, not even its answer to the close frame. */
  private deaf = false;
  /** Bytes of a message that has not ended, and of what was put back, as they were noted last. */
  private unfinishedBytes = 0;
  private bytesBehindClose = 0;
  /** The client ended its side: what it sent before comes yet, as it takes time to inflate. */
  private hasEnded = false;
  /** What came was put back until this client has its turn. */
  private awaitsTurn = false;
  /** It has its turn: one piece may be parsed, whoever waits. */
  private hasTurn = false;
  private handler: ConnectionHandler | undefined;
  private closeTimer: Scheduled | undefined;

  constructor(
    private readonly socket: RawSocket,
    readonly variant: WireVariant,
    private readonly ws: WireSocket,
    readonly handshake: Handshake,
    private readonly settings: ConnectionSettings,
  ) {
    socket.setNoDelay?.(true);
    if (isPlainTcp(socket)) this.writer = settings.writer;
    socket[CONNECTION] = this;
    settings.meter.begin(this);
    wrapListeners(socket, 'data', meteredData);
    wrapListeners(socket, 'close', tidyClose);
    ws.owner = this;
    socket.on('drain', onDrain);
    socket.on('end', onEnd);
  }

  /** Begins to deliver. Called in the turn of the upgrade, before ws can emit anything. */
  start(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  get network(): string {
    return this.handshake.network;
  }

  get client(): string {
    return this.handler?.client ?? anonymousOf(this.network);
  }

  /** TLS encrypts a frame as a whole, for each socket. */
  get copiesFrames(): boolean {
    return this.writer === undefined;
  }

  get bufferedBytes(): number {
    return this.heldBytes + this.socket.writableLength;
  }

  write(frame: Buffer): boolean {
    // Behind a close frame nothing may follow (RFC 6455 §5.5.1).
    if (!this.open) return false;
    // What is in libuv's queue is ahead of whatever the socket is given now.
    if (this.writer === undefined || this.heldBytes > 0) return this.socket.write(frame);
    const waiting = this.writer.write(this.socket as DirectSocket, frame, this);
    if (waiting === 0) return true;
    if (waiting === NOT_WRITTEN) return this.socket.write(frame);
    if (waiting === WRITE_FAILED) {
      // The other end is gone; 'close' of ws follows, as after every error of a socket.
      this.socket.destroy();
      return false;
    }
    this.heldBytes = waiting;
    return false;
  }

  /** @internal */
  onWritten(failed: boolean): void {
    this.heldBytes = 0;
    if (failed) this.socket.destroy();
    // What was queued behind it has a 'drain' of its own.
    else if (!this.socket.writableNeedDrain) this.drained();
  }

  pause(): void {
    if (this.open) this.ws.pause();
  }

  resume(): void {
    this.ws.resume();
  }

  close(code: number, reason: string): void {
    if (!this.open) return;
    try {
      this.ws.close(code, bounded(reason));
      // The client's answer could not be read otherwise.
      this.ws.resume();
    } catch (error) {
      // A code that must not be sent, e.g. 1006. The connection must end nevertheless.
      this.settings.onError(error);
      this.terminate();
    }
  }

  terminate(): void {
    this.open = false;
    this.hasEnded = false;
    this.ws.terminate();
  }

  /** @internal */
  onMessage(data: Buffer, isBinary: boolean): void {
    if (!this.open && !this.hasEnded) return;
    try {
      this.handler?.onFrame(isBinary ? data : data.toString(), data.length);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @internal @returns what ws may parse now of what came; `undefined` for nothing. */
  admit(chunk: Buffer): Buffer | undefined {
    const isFree = chunk.length <= SMALL_CHUNK_BYTES && !this.awaitsTurn && !this.hasTurn;
    const piece = isFree ? chunk : this.pieceOf(chunk);
    return piece !== undefined && this.mayParse(piece) ? piece : undefined;
  }

  /**
   * Puts back what is more than one client may have parsed now (G16): of a hundred that send all they can, each would have two hundred
   * messages parsed before anybody else is served. What is put back keeps the socket from reading more, and so the client from sending.
   */
  private pieceOf(chunk: Buffer): Buffer | undefined {
    const { hasTurn } = this;
    this.hasTurn = false;
    // What a closed socket has left comes once.
    if (!this.open || this.socket.destroyed) return chunk;
    if (this.awaitsTurn) return this.putBack(chunk);
    const isMuch = chunk.length > (hasTurn ? PIECE_BYTES : SMALL_CHUNK_BYTES);
    // A large message, and its parts, have turns of their own.
    if (!isMuch || !this.settings.meter.isMany(this, chunk) || !this.mustWait(chunk.length)) return chunk;
    this.awaitsTurn = true;
    if (!hasTurn) return this.putBack(chunk);
    this.putBack(restOf(chunk));
    return chunk.subarray(0, PIECE_BYTES);
  }

  /** What waits in the socket for a turn of this client: charged to it like a message that has not ended. */
  private get putBackBytes(): number {
    return this.awaitsTurn ? this.socket.readableLength : 0;
  }

  private mustWait(bytes: number): boolean {
    try {
      return this.handler?.onMuch(bytes, () => this.takeTurn()) === true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  private putBack(chunk: Buffer): undefined {
    // A socket that flows would emit it at once.
    this.socket.pause();
    this.socket.unshift(chunk);
    this.noteUnfinished(this.settings.meter.unfinished(this) + this.putBackBytes);
  }

  private takeTurn(): void {
    this.awaitsTurn = false;
    if (!this.open) return;
    this.hasTurn = true;
    // Where the engine has paused reading, its turn comes when it reads on.
    if (!this.ws.isPaused) this.ws.resume();
  }

  /** Counts what the client sent before ws parses it. @returns whether ws may. */
  private mayParse(chunk: Buffer): boolean {
    if (!this.deaf && (this.open || this.mayFollowClose(chunk))) {
      const { meter } = this.settings;
      const waitMs = meter.count(this, chunk);
      const partBytes = meter.unfinished(this);
      this.noteUnfinished(partBytes + this.putBackBytes);
      // It may have been shed.
      if (this.deaf) return false;
      if (partBytes > LARGE_PART_BYTES) this.notePart();
      if (waitMs === 0) return true;
      if (this.exceeded(waitMs)) return true;
    }
    // It floods, and it was sent a close frame, which our end of the stream follows. What it sends from now on stays in its
    // socket, which is destroyed in time.
    if (!this.deaf) this.deafen();
    this.socket.pause();
    return false;
  }

  private deafen(): void {
    this.deaf = true;
    this.socket.end();
    this.closeTimer?.cancel();
    const lingerMs = Math.min(this.settings.closeTimeoutMs, FLOODER_LINGER_MS);
    this.closeTimer = this.settings.clock.schedule(lingerMs, () => this.ws.terminate());
  }

  /** @internal Cuts one that was closed and is not answered. */
  destroy(): void {
    this.ws.terminate();
  }

  /** @internal */
  shed(): void {
    this.close(CLOSE_CODES.overloaded.code, closeReason('overloaded'));
    // Nothing less frees what it sent.
    this.deaf = true;
    this.terminate();
  }

  private noteUnfinished(bytes: number): void {
    if (bytes === this.unfinishedBytes) return;
    this.unfinishedBytes = bytes;
    this.settings.unfinished.note(this, bytes);
  }

  private notePart(): void {
    try {
      this.handler?.onPart();
    } catch (error) {
      this.fail(error);
    }
  }

  private mayFollowClose(chunk: Buffer): boolean {
    this.bytesBehindClose += chunk.length;
    return this.bytesBehindClose <= MAX_BYTES_BEHIND_CLOSE;
  }

  /** @returns whether the connection is still open. */
  private exceeded(waitMs: number): boolean {
    if (!this.open) return false;
    try {
      this.handler?.onExcess(waitMs);
    } catch (error) {
      this.fail(error);
    }
    // The handler may have ended it, and must where the excess is too large to wait for.
    if (this.open && !Number.isFinite(waitMs))
      this.close(CLOSE_CODES.rate_abuse.code, closeReason('rate_abuse'));
    return this.open;
  }

  /** @internal */
  drained(): void {
    if (!this.open) return;
    try {
      this.handler?.onDrain();
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * @internal A client that neither answers nor reads would keep a closing socket, and the bytes in its queue, for
   * ever: ws's own timer does not cover a client that ended its side without a close frame.
   */
  onClosing(): void {
    this.open = false;
    const { clock, closeTimeoutMs, outgoing } = this.settings;
    outgoing.leaves(this);
    this.closeTimer ??= clock.schedule(closeTimeoutMs, () => this.ws.terminate());
  }

  /** @internal The client ended its side, maybe without a close frame. */
  onEnded(): void {
    this.hasEnded = this.open;
    this.onClosing();
  }

  /** @internal */
  onClosed(): void {
    this.open = false;
    this.settings.outgoing.left(this);
    this.noteUnfinished(0);
    this.closeTimer?.cancel();
    try {
      this.handler?.onClose(this.ws.wireCode ?? ABNORMAL);
    } catch (error) {
      this.settings.onError(error);
    }
  }

  /** Ends the connection after a failure of the server: an exception in a socket's listener would end the process. */
  fail(error: unknown): void {
    this.settings.onError(error);
    this.close(CLOSE_CODES.internal.code, closeReason('internal'));
  }
}

/** Made once for each listener of ws, which all sockets share. */
const wrapped = new WeakMap<SocketListener, WrappedListener>();

/** Puts others in the place of ws's listeners: each event has one still, and no list of listeners. */
function wrapListeners(
  socket: RawSocket,
  event: string,
  wrap: (listener: SocketListener) => WrappedListener,
): void {
  for (const listener of socket.rawListeners(event) as WrappedListener[]) {
    // One that is called once is not of ws.
    if (listener.listener !== undefined) continue;
    let wrapper = wrapped.get(listener);
    if (wrapper === undefined) {
      wrapper = wrap(listener);
      wrapper.listener = listener;
      wrapped.set(listener, wrapper);
    }
    socket.removeListener(event, listener);
    socket.on(event, wrapper);
  }
}

/** The meter of a connection comes before the parser of ws. */
function meteredData(listener: SocketListener): WrappedListener {
  return function onData(this: Duplex, chunk: unknown): void {
    const owner = ownerOf(this);
    const piece = owner === undefined ? chunk : owner.admit(chunk as Buffer);
    if (piece !== undefined) listener.call(this, piece);
  };
}

/** What a paused socket has kept when it closes, ws would parse as it is, in one turn: it goes past the meter like all else. */
function tidyClose(listener: SocketListener): WrappedListener {
  return function onGone(this: Duplex, ...args: unknown[]): void {
    readKept(this);
    listener.apply(this, args);
  };
}

function onDrain(this: Duplex): void {
  ownerOf(this)?.drained();
}

function onEnd(this: Duplex): void {
  ownerOf(this)?.onEnded();
}

function readKept(socket: Duplex): void {
  if (socket.readableLength === 0) return;
  const listeners = socket.rawListeners('data') as SocketListener[];
  // Whether `read` tells them depends on the stream.
  socket.removeAllListeners('data');
  const kept = socket.read() as Buffer;
  for (const listener of listeners) listener.call(socket, kept);
}

/** What is behind the first piece. A small part would keep all that was read with it in memory, so it is copied: at most once for each half. */
function restOf(chunk: Buffer): Buffer {
  const rest = chunk.subarray(PIECE_BYTES);
  if (2 * rest.length >= chunk.buffer.byteLength) return rest;
  const copy = Buffer.allocUnsafeSlow(rest.length);
  rest.copy(copy);
  return copy;
}

function ownerOf(emitter: object): WebSocketConnection | undefined {
  return (emitter as Owned)[CONNECTION];
}

/** At most 123 bytes, cut between characters. */
function bounded(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.byteLength <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
