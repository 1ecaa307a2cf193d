import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What Node keeps of a write that is under way. Its class is not exported: an instance shows it. */
interface WriteRequest {
  oncomplete?: (this: WriteRequest, status: number) => void;
  /** Keeps the bytes in memory until they are written. */
  buffer?: Buffer;
  owner?: DirectWriteEvents;
  /** Negative while libuv has nothing to do with it. */
  getAsyncId(): number;
}

/** The stream of libuv below a socket, as far as it is used here. */
interface StreamHandle {
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  /** Bytes that the kernel did not take yet. */
  readonly writeQueueSize: number;
}

export type DirectSocket = Socket & { _handle?: StreamHandle | null };

/** Whether a socket's bytes go to the kernel as they are: TLS encrypts in between, and test tools inject other streams. */
export function isPlainTcp(socket: Duplex): socket is DirectSocket {
  return socket instanceof Socket && !('encrypted' in socket);
}

/** The connection that a write belongs to. */
export interface DirectWriteEvents {
  /** Called when the bytes that the kernel did not take at once are written, or have failed. */
  onWritten(failed: boolean): void;
}

/** Nothing was written: the caller writes to the socket. */
export const NOT_WRITTEN = -1;
/** The write failed: the caller destroys the socket. */
export const WRITE_FAILED = -2;

/**
 * Hands frames to libuv without the queue of the socket's stream. Where the kernel takes a frame at once, which is nearly
 * always, that queue is an object per write, a callback and a pass through the tick queue, a seventh of what a delivery
 * costs. It is Node's own internal interface, so it is used only where it is seen to be as expected, for a plain TCP
 * socket with nothing queued; everything else, and every error, goes the documented way.
 */
export class DirectWriter {
  private spare: WriteRequest | undefined;
  private requests: (new () => WriteRequest) | undefined;
  private unusable = false;

  /**
   * @returns Bytes that wait in libuv, after which `owner.onWritten` follows: 0 when the kernel took them all; or
   * {@link NOT_WRITTEN}, or {@link WRITE_FAILED}.
   */
  write(socket: DirectSocket, frame: Buffer, owner: DirectWriteEvents): number {
    const handle = socket._handle;
    if (this.unusable || handle === null || handle === undefined || socket.writableLength > 0)
      return NOT_WRITTEN;
    const request = this.spare ?? this.prepare(handle);
    if (request === undefined) return NOT_WRITTEN;
    if (handle.writeBuffer(request, frame) !== 0) return WRITE_FAILED;
    const waiting = handle.writeQueueSize;
    if (waiting > 0) this.follow(request, frame, owner);
    // The kernel took the rest between two tries: nothing waits, and yet the request is under way until the next turn.
    else if (request.getAsyncId() >= 0) this.spare = undefined;
    return waiting;
  }

  /** A request that is under way belongs to libuv until it is done, so the next write needs another. */
  private follow(request: WriteRequest, frame: Buffer, owner: DirectWriteEvents): void {
    this.spare = undefined;
    request.buffer = frame;
    request.owner = owner;
    request.oncomplete = onComplete;
  }

  private prepare(handle: StreamHandle): WriteRequest | undefined {
    if (this.requests === undefined) this.learn(handle);
    else this.spare = new this.requests();
    return this.spare;
  }

  /** Learns the class of requests from the next write, which goes through the socket. */
  private learn(handle: StreamHandle): void {
    if (typeof handle.writeBuffer !== 'function' || typeof handle.writeQueueSize !== 'number') {
      this.unusable = true;
      return;
    }
    const writeBuffer = handle.writeBuffer.bind(handle);
    handle.writeBuffer = (request, bytes) => {
      // Back to the method of its class.
      delete (handle as Partial<StreamHandle>).writeBuffer;
      const { constructor } = request;
      if (constructor.name === 'WriteWrap' && typeof request.getAsyncId === 'function')
        this.requests = constructor as new () => WriteRequest;
      else this.unusable = true;
      return writeBuffer(request, bytes);
    };
  }
}

function onComplete(this: WriteRequest, status: number): void {
  const { owner } = this;
  delete this.buffer;
  delete this.owner;
  owner?.onWritten(status < 0);
}
