import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import type { Clock, Scheduled } from '../../core/ports/clock.js';
import {
  isPlainTcp,
  NOT_WRITTEN,
  WRITE_FAILED,
  type DirectSocket,
  type DirectWriteEvents,
  type DirectWriter,
} from '../http/direct-writer.js';
import { endUnlessAlive, isHttp2 } from '../http/http2.js';
import type { Outgoing } from '../http/outgoing.js';
import { chunkOf } from './blocks.js';

/** What a stream notifies its owner of. */
export interface EventStreamEvents {
  /** It can take more bytes. */
  onDrain(): void;
  /** It is closed, by either side. Called once. */
  onGone(): void;
}

/** What the streams of a transport share. */
export interface EventStreamDeps {
  readonly writer: DirectWriter;
  readonly clock: Clock;
  /** How long a client may take to read the end. */
  readonly closeTimeoutMs: number;
  readonly outgoing: Outgoing;
}

const STREAM = Symbol('stream');
type Owned = { [STREAM]?: EventStream };

/** Of every stream. */
export const STREAM_HEAD = {
  'Content-Type': 'text/event-stream',
  // `no-transform` keeps proxies, and middleware of the application, from compressing: that waits for more bytes.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

/**
 * The response of an event stream. Node writes its head and its end; what is between goes to the socket, in chunks that many
 * streams share, since a response writes each chunk in three pieces of its own. It knows nothing of what it carries.
 */
export class EventStream implements DirectWriteEvents {
  /** Whether what is written must be chunks of HTTP/1.1. */
  readonly chunked: boolean;
  private owner: EventStreamEvents | undefined;
  private state: 'new' | 'open' | 'ended' = 'new';
  /** Bytes in libuv's queue, which are not in the socket's own. */
  private heldBytes = 0;
  private readonly direct: DirectSocket | undefined;
  /** Where the body goes: the socket of HTTP/1; the response, where the frames of HTTP/2 are around it. */
  private readonly body: Writable & Owned;
  private endTimer: Scheduled | undefined;

  constructor(
    private readonly req: IncomingMessage,
    private readonly res: ServerResponse & Owned,
    private readonly deps: EventStreamDeps,
  ) {
    const isHttp1 = !isHttp2(req);
    this.chunked = isHttp1 && req.httpVersionMajor === 1 && req.httpVersionMinor >= 1;
    this.body = isHttp1 ? req.socket : res;
    if (isHttp1 && isPlainTcp(req.socket)) this.direct = req.socket;
  }

  /** Whether the socket encrypts, or frames, what it is given: it keeps a copy. */
  get copiesFrames(): boolean {
    return this.direct === undefined;
  }

  get bufferedBytes(): number {
    return this.heldBytes + this.body.writableLength;
  }

  /** Whether nobody reads the answer any more. */
  get isGone(): boolean {
    return this.req.socket.destroyed || this.res.destroyed;
  }

  /** Whether the answers to requests that were pipelined before this one are complete. */
  get isNext(): boolean {
    return isHttp2(this.req) || this.res.socket !== null;
  }

  /** Notifies an owner from now on. */
  own(owner: EventStreamEvents): void {
    this.owner = owner;
    this.res[STREAM] = this;
    this.res.on('close', onClose);
  }

  /** Sends the head. */
  begin(headers: Readonly<Record<string, string>>): void {
    const { req, res, body } = this;
    this.state = 'open';
    body[STREAM] = this;
    body.on('drain', onDrain);
    // A time-out of inactivity that the application set knows nothing of what goes past the response. That of a connection of
    // HTTP/2 is for all of its streams.
    if (!isHttp2(req)) req.socket.setTimeout(0);
    const connection = isHttp2(req) ? {} : { Connection: 'close' };
    res.writeHead(200, { ...headers, ...STREAM_HEAD, ...connection });
    res.flushHeaders();
  }

  /** @param frame as the variant of the stream made it. @returns `false` where the socket holds bytes back. */
  write(frame: Buffer): boolean {
    if (this.state !== 'open') return false;
    // An empty chunk would end the body.
    if (frame.length === 0) return true;
    const { direct } = this;
    // What is in libuv's queue is ahead of whatever the socket is given now.
    if (direct === undefined || this.heldBytes > 0) return this.body.write(frame);
    const waiting = this.deps.writer.write(direct, frame, this);
    if (waiting === 0) return true;
    if (waiting === NOT_WRITTEN) return direct.write(frame);
    if (waiting === WRITE_FAILED) {
      this.destroy();
      return false;
    }
    this.heldBytes = waiting;
    return false;
  }

  /** Writes lines that are this stream's alone, and a frame behind them, which is not copied, in one go. */
  writeBehind(lines: string, frame: Buffer): boolean {
    if (this.state !== 'open') return false;
    const { body } = this;
    body.cork();
    body.write(this.chunked ? chunkOf(lines) : Buffer.from(lines));
    const taken = body.write(frame);
    body.uncork();
    return taken;
  }

  /** Writes blocks that are this stream's alone. */
  writeText(blocks: string): boolean {
    return this.write(this.chunked ? chunkOf(blocks) : Buffer.from(blocks));
  }

  /** Ends the body behind these blocks; `onGone` follows. */
  end(blocks: string): void {
    if (this.state !== 'open') return;
    this.writeText(blocks);
    this.state = 'ended';
    this.deps.outgoing.add(this.res);
    // Writes the chunk that ends the body, behind everything else.
    this.res.end();
    this.endTimer = this.deps.clock.schedule(this.deps.closeTimeoutMs, () => this.destroy());
  }

  destroy(): void {
    const { req, res, deps } = this;
    if (!isHttp2(req)) return void req.socket.destroy();
    const { session } = req.stream;
    res.destroy();
    endUnlessAlive(session, deps.clock, deps.closeTimeoutMs);
  }

  /** @internal */
  onWritten(failed: boolean): void {
    this.heldBytes = 0;
    if (failed) this.destroy();
    // What was queued behind it has a 'drain' of its own.
    else if (!this.req.socket.writableNeedDrain) this.drained();
  }

  /** @internal */
  drained(): void {
    if (this.state === 'open') this.owner?.onDrain();
  }

  /** @internal */
  closed(): void {
    this.state = 'ended';
    this.endTimer?.cancel();
    const { owner } = this;
    this.owner = undefined;
    owner?.onGone();
  }
}

// Shared by all streams, so that an idle one has no functions of its own.
function onDrain(this: Owned): void {
  this[STREAM]?.drained();
}

function onClose(this: Owned): void {
  this[STREAM]?.closed();
}
