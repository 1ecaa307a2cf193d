import type { IncomingMessage } from 'node:http';
import type { Clock, Scheduled } from '../../core/ports/clock.js';
import {
  LEAVING,
  type Refusal,
  type UnfinishedBytes,
  type UnfinishedSender,
} from '../../core/ports/transport-host.js';
import { isHttp2 } from '../http/http2.js';
import { bytesOf } from '../http/reception.js';
import { BodyBuffer } from './body-buffer.js';
import { tooLarge, type BodyBound } from './body-head.js';
import { ChunkCount } from './chunk-count.js';
import { dropBody } from './unread-body.js';

/** What a request takes while its body comes, beside its head: so that those of a few bytes are counted, too. */
const REQUEST_BYTES = 4 * 1024;

export interface BodyReaderDeps {
  readonly clock: Clock;
  /** How long a body may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly unfinished: UnfinishedBytes;
}

/** Whose body is read, as limits over several connections know it. */
export type BodySender = Omit<UnfinishedSender, 'shed'>;

/** The body was not read to its end, for nobody is there to be answered. */
export const CUT = 'cut';

/** What became of a body. */
export type BodyOutcome = Buffer | Refusal | typeof CUT;

/** A stream of HTTP/2 that its client resets ends as if it were whole. */
function isWhole(req: IncomingMessage, bytes: number): boolean {
  const length = req.headers['content-length'];
  const isReset = isHttp2(req) && req.stream.rstCode !== 0;
  return req.complete && !isReset && (length === undefined || Number(length) === bytes);
}

/**
 * A body that is read from the moment on at which its request came: where it was left to Node until somebody wants it, its first packet
 * would wait as a buffer for each of its chunks, and none of it would be counted.
 */
export class Body implements UnfinishedSender {
  readonly network: string;
  readonly client: string;
  private readonly chunks = new ChunkCount();
  private readonly buffer: BodyBuffer;
  private readonly headBytes: number;
  private readonly timer: Scheduled;
  private outcome: BodyOutcome | undefined;
  private waiting: ((outcome: BodyOutcome) => void) | undefined;

  constructor(
    private readonly req: IncomingMessage,
    { network, client }: BodySender,
    private readonly bound: BodyBound,
    private readonly deps: BodyReaderDeps,
    private readonly reading: Set<Body>,
  ) {
    this.network = network;
    this.client = client;
    this.headBytes = REQUEST_BYTES + bytesOf(req);
    const length = Number(req.headers['content-length'] ?? bound.bytes);
    this.buffer = new BodyBuffer(Math.min(length, bound.bytes));
    this.timer = deps.clock.schedule(deps.timeoutMs, () => this.stop());
    reading.add(this);
    if (req.socket.destroyed) this.settle(CUT);
    else {
      req.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose).on('error', this.onClose);
      this.note();
    }
  }

  /** As how many frames its chunks count, beside the request. */
  get frames(): number {
    return this.chunks.frames;
  }

  /** What became of it. Until {@link release}, it is counted. */
  whole(): Promise<BodyOutcome> {
    const { outcome } = this;
    return outcome === undefined
      ? new Promise((resolve) => (this.waiting = resolve))
      : Promise.resolve(outcome);
  }

  /** Nobody wants it any more, or it is used. Idempotent. */
  release(): void {
    this.settle(CUT);
    this.deps.unfinished.note(this, 0);
  }

  shed(): void {
    this.settle(CUT);
    this.outcome = CUT;
    this.buffer.drop();
    this.req.socket.destroy();
  }

  /** Gives up what has not come yet. */
  stop(): void {
    this.settle(LEAVING);
  }

  private readonly onData = (chunk: Buffer): void => {
    const { buffer, bound } = this;
    if (!this.chunks.take(chunk)) return this.shed();
    if (buffer.length + chunk.length > bound.bytes) return this.settle(tooLarge(bound));
    const { capacity } = buffer;
    buffer.append(chunk);
    if (buffer.capacity !== capacity) this.note();
  };

  private readonly onEnd = (): void =>
    this.settle(isWhole(this.req, this.buffer.length) ? this.buffer.whole() : CUT);

  private readonly onClose = (): void => this.settle(CUT);

  /** The node may shed it, or others. */
  private note(): void {
    this.deps.unfinished.note(this, this.headBytes + this.buffer.capacity);
  }

  private settle(outcome: BodyOutcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.timer.cancel();
    this.reading.delete(this);
    const { req } = this;
    req.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose).off('error', this.onClose);
    // What comes later must not end the process.
    req.on('error', () => undefined);
    if (!Buffer.isBuffer(outcome)) {
      dropBody(req);
      this.buffer.drop();
      this.deps.unfinished.note(this, 0);
    }
    this.waiting?.(outcome);
  }
}

/** Reads bodies: bounded in size, chunks and time, and counted with all else that clients have begun to send (G16). */
export class BodyReader {
  private readonly reading = new Set<Body>();

  constructor(private readonly deps: BodyReaderDeps) {}

  /** Begins to read. The body must be released. */
  read(req: IncomingMessage, sender: BodySender, bound: BodyBound): Body {
    return new Body(req, sender, bound, this.deps, this.reading);
  }

  /** Gives up what is being read. */
  close(): void {
    for (const body of [...this.reading]) body.stop();
  }
}
