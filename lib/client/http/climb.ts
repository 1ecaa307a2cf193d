import { exponentialDelay } from '../backoff.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import type { OpenTransport, Transport, TransportEvents } from '../transport/websocket.js';

/** Of the wait for the next try: it doubles up to sixteen times the first. */
const MAX_DOUBLINGS = 4;
/** The same where tries ended a session that worked: each counts as two. */
const MAX_COSTLY_DOUBLINGS = 8;

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
  /** Those that ended a session that worked. */
  private costly = 0;
  /** A WebSocket opened in this network, and passed nothing on. */
  private isSuspect = false;
  private stopTry: (() => void) | undefined;

  constructor(private readonly deps: ClimbDeps) {}

  /** The next session begins with short waits again: the network is another one, or a better transport works. */
  reset(): void {
    this.failures = this.costly = 0;
  }

  /** What was learnt of the network is forgotten. */
  forget(): void {
    this.reset();
    this.isSuspect = false;
  }

  /** A WebSocket opened, and passed nothing on: the next one has to prove itself before a session ends for it. */
  suspect(): void {
    this.isSuspect = true;
  }

  /** `end` ends what the try that runs has brought. */
  onStop(end: () => void): void {
    this.stopTry = end;
  }

  /** @param soon Whether there is reason to think that it works now. */
  plan(soon: boolean, run: () => void): void {
    const { clock, random, afterMs } = this.deps;
    const doublings = this.costly > 0 ? MAX_COSTLY_DOUBLINGS : MAX_DOUBLINGS;
    const policy = { baseMs: afterMs, maxMs: afterMs * 2 ** doublings, firstSpreadMs: 0, stableMs: 0 };
    // At least half of it, at most all of it: a proxy that comes back is not tried by all clients at once.
    const most = exponentialDelay(policy, this.failures + this.costly, () => 1);
    const delayMs = (most / 2) * (1 + random()) * (soon ? 0.05 : 1);
    this.stop();
    this.timer = clock.schedule(delayMs, run);
  }

  /** @param isCostly Whether the try ended a session that worked. */
  failed(isCostly = false): void {
    this.failures++;
    if (isCostly) this.costly++;
  }

  stop(): void {
    this.timer?.cancel();
    const { stopTry } = this;
    this.stopTry = undefined;
    stopTry?.();
  }

  /** Opens a WebSocket beside the session. @param onResult Called once, unless `stop` is called before. */
  trySocket(url: string, onResult: (socket: ReadySocket | undefined) => void): void {
    if (!this.isSuspect) return this.openBeside(url, onResult);
    this.prove(url, (isProven) => {
      if (isProven) this.openBeside(url, onResult);
      else onResult(undefined);
    });
  }

  /** Pages cannot ping. But a server answers a close frame with one of the same code: it comes only where frames pass, both ways. */
  private prove(url: string, onProof: (isProven: boolean) => void): void {
    const { clock, limitMs } = this.deps;
    let timer: ClientTimer | undefined;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      timer?.cancel();
    };
    const proof = (isProven: boolean): void => {
      if (isOver) return;
      end();
      onProof(isProven);
    };
    const onOpen = (socket: ReadySocket | undefined): void => {
      if (socket === undefined) return proof(false);
      this.onStop(end);
      timer = clock.schedule(limitMs, () => proof(false));
      socket.drop();
    };
    this.openBeside(url, onOpen, (code) => {
      if (timer !== undefined) proof(code === CLOSE_CODES.normal.code);
    });
  }

  private openBeside(
    url: string,
    onResult: (socket: ReadySocket | undefined) => void,
    onClosed?: (code: number) => void,
  ): void {
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
            onClosed?.(code);
            if (heir !== undefined) heir.closed(code, reason, failure);
            else result(undefined);
          },
        });
      })
      // There is no token now, or no such socket.
      .catch(() => result(undefined));
  }
}
