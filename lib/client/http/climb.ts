import { exponentialDelay } from '../backoff.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import type { OpenTransport, Transport, TransportEvents } from '../transport/websocket.js';

/** Of the wait for the next try: it doubles up to sixteen times the first. */
const MAX_DOUBLINGS = 4;

/** A socket that opened in the background, and has sent nothing. */
export interface ReadySocket {
  readonly isClosed: boolean;
  drop(): void;
  /** Becomes the transport of a connection. */
  adopt(events: TransportEvents): Transport;
}

/** What a {@link Climb} needs. */
export interface ClimbDeps {
  readonly clock: ClientClock;
  readonly random: () => number;
  /** Milliseconds until the first try. */
  readonly afterMs: number;
  readonly limitMs: number;
  readonly openSocket: OpenTransport;
  readonly protocols: () => Promise<readonly string[]>;
}

/**
 * Tries better transports while a session over HTTP is live. A WebSocket is opened beside it, which harms nothing; once it is open the
 * session is handed over to it. An event stream cannot be tried so: the server has one session of the client, and its stream is it.
 */
export class Climb {
  private timer: ClientTimer | undefined;
  private failures = 0;
  private stopTry: (() => void) | undefined;

  constructor(private readonly deps: ClimbDeps) {}

  /** The next session begins with short waits again: the network is another one, or a better transport works. */
  reset(): void {
    this.failures = 0;
  }

  /** `end` ends what the try that runs has brought. */
  onStop(end: () => void): void {
    this.stopTry = end;
  }

  /** @param soon Whether there is reason to think that it works now. */
  plan(soon: boolean, run: () => void): void {
    const { clock, random, afterMs } = this.deps;
    const policy = { baseMs: afterMs, maxMs: afterMs * 2 ** MAX_DOUBLINGS, firstSpreadMs: 0, stableMs: 0 };
    // At least half of it, at most all of it: a proxy that comes back is not tried by all clients at once.
    const most = exponentialDelay(policy, this.failures, () => 1);
    const delayMs = (most / 2) * (1 + random()) * (soon ? 0.05 : 1);
    this.stop();
    this.timer = clock.schedule(delayMs, run);
  }

  failed(): void {
    this.failures++;
  }

  stop(): void {
    this.timer?.cancel();
    const { stopTry } = this;
    this.stopTry = undefined;
    stopTry?.();
  }

  /** Opens a WebSocket beside the session. @param onResult Called once, unless `stop` is called before. */
  trySocket(url: string, onResult: (socket: ReadySocket | undefined) => void): void {
    const { clock, limitMs, openSocket, protocols } = this.deps;
    let isOver = false;
    let transport: Transport | undefined;
    let heir: TransportEvents | undefined;
    let protocol = '';
    let isClosed = false;
    const timer = clock.schedule(limitMs, () => result(undefined));

    const result = (socket: ReadySocket | undefined): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      if (socket === undefined) transport?.close(1000, '');
      onResult(socket);
    };
    this.stopTry = () => {
      timer.cancel();
      // What opened is not this one's any more.
      if (!isOver) transport?.close(1000, '');
      isOver = true;
    };
    const socket: ReadySocket = {
      get isClosed() {
        return isClosed;
      },
      drop: () => transport?.close(1000, ''),
      adopt(events) {
        heir = events;
        queueMicrotask(() => events.opened(protocol));
        return {
          send: (frame) => transport?.send(frame),
          close: (code, reason) => transport?.close(code, reason),
        };
      },
    };
    void protocols()
      .then((offered) => {
        if (isOver) return;
        transport = openSocket(url, offered, {
          opened(chosen) {
            protocol = chosen;
            result(socket);
          },
          frame: (frame) => heir?.frame(frame),
          closed(code, reason, failure) {
            isClosed = true;
            if (heir !== undefined) heir.closed(code, reason, failure);
            else result(undefined);
          },
        });
      })
      // There is no token now, or no such socket.
      .catch(() => result(undefined));
  }
}
