import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { Encoded } from '../../protocol/codecs/codec.js';
import { readSubprotocols } from '../../protocol/subprotocol.js';
import { recordOf } from '../received.js';
import type { Transport, TransportEvents } from '../transport/websocket.js';
import { CalmWaits } from './calm-waits.js';
import { isForeign } from './page.js';
import { below, jsonOf, refusalOf, type HttpAnswer, type HttpDeps } from './request.js';
import { Sender, type SessionLoss, type SessionRequests } from './sender.js';
import type { SessionCodec } from './session-codec.js';

/**
 * How an attempt failed, as far as its transport is to blame. `broken`: the server answers other requests, so that something between
 * here and there may break this transport · `blocked`: it surely does · `impossible`: it will never work in this page ·
 * `unproven`: anything else, an outage among it.
 */
export type Blame = 'broken' | 'blocked' | 'impossible' | 'unproven';

/** What a carrier brings messages with: an event stream, or polls. */
export interface Carrier {
  stop(): void;
}

/** What a carrier reports to its session. */
export interface CarrierEvents {
  /** Messages as they came: envelopes in lines, or an array of them. */
  messages(text: string): void;
  /** The server refused to open the session. */
  refused(answer: HttpAnswer): void;
  /** The session did not open, and the server did not say so. @param blame Known already; otherwise the server is asked. */
  failed(failure: string, blame?: Blame): void;
  /** There was no answer, or none that this page may read. */
  unread(failure: string): void;
  /** The session is over. */
  lost(loss: SessionLoss): void;
}

/** Begins to carry: opens the session with `body`. */
export type StartCarrier = (
  deps: CarrierDeps,
  opening: { readonly body: string; readonly headers: Record<string, string> },
  events: CarrierEvents,
) => Carrier;

/** What a carrier needs. */
export interface CarrierDeps extends HttpDeps {
  readonly codec: SessionCodec;
  readonly url: string;
  readonly random: () => number;
  /** Longest wait for the first message. */
  readonly firstLimitMs: number;
  readonly requestLimitMs: number;
}

/** What a session needs. */
export interface HttpSessionDeps extends Omit<CarrierDeps, 'url'> {
  /** Name below the server's path. */
  readonly path: 'sse' | 'poll';
  readonly start: StartCarrier;
  /** Asks whether the server answers other requests, when a session did not open. */
  readonly isThere: (url: string) => Promise<boolean>;
  /** The session is welcomed. */
  readonly onWelcome: (session: HttpSession) => void;
  /** The attempt failed before that. */
  readonly onFailure: (blame: Blame) => void;
  /** The server's address answers, but has no such sessions. */
  readonly onMissing: (failure: string) => void;
  /**
   * A page of another origin may not read the answer, as cookies were sent.
   *
   * @returns Whether the next attempt is made without.
   */
  readonly onUnreadable: () => boolean;
  /** Nothing follows. */
  readonly onEnd: () => void;
}

/**
 * A two-way session over HTTP (P21), as a transport: messages come by a carrier, commands go by `/send`. It opens when the frame of
 * `hello` is there, which is the body of its first request.
 */
export class HttpSession implements Transport, CarrierEvents {
  private carrier: Carrier | undefined;
  private sender: Sender | undefined;
  private early: string[] = [];
  private isEnded = false;
  private isWelcomed = false;
  private isLeaving = false;
  private readonly calm: CalmWaits;
  /** Whether it proves without cookies who the user is. */
  private hasToken = false;

  constructor(
    private readonly deps: HttpSessionDeps,
    private readonly url: string,
    private readonly protocols: readonly string[],
    private readonly events: TransportEvents,
  ) {
    this.calm = new CalmWaits(deps.clock, deps.codec);
    queueMicrotask(() => {
      if (!this.isEnded) events.opened('');
    });
  }

  send(frame: Encoded): void {
    if (this.isEnded || this.isLeaving) return;
    const text = String(frame);
    const lines = text.split('\n');
    for (const line of lines) this.deps.codec.sent(line);
    if (this.carrier === undefined) this.open(lines);
    else if (this.sender === undefined) this.early.push(...lines);
    else this.sender.push(lines);
  }

  close(code: number): void {
    if (this.isEnded || this.isLeaving) return;
    const { sender } = this;
    if (code !== CLOSE_CODES.normal.code || sender === undefined) {
      // As a socket does: not before the caller is done.
      this.finish(code, '', '', queueMicrotask);
      return;
    }
    // The stream stays until the server has the `bye`: without one it would take the end for a cut.
    this.isLeaving = true;
    this.deps.onEnd();
    sender.finish(() => this.finish(code, '', '', queueMicrotask));
  }

  /**
   * Ends the session for another one, without harm where it is calm: the client takes it for a `bye` of the server.
   *
   * @param onRelease Called right before the end.
   */
  handOver(retryAfterMs: number, why: string, onRelease: () => void): void {
    if (this.isEnded || this.isLeaving) return;
    const payload = { code: CLOSE_CODES.rotate.code, retryAfterMs, spreadMs: 0 };
    this.events.frame(JSON.stringify({ type: 'bye', payload }));
    // A listener may have ended it.
    if (this.ended()) return;
    onRelease();
    this.finish(1006, '', why);
  }

  /**
   * Calls `run` as soon as no command waits for its answer, or `onBusy` when there was no such moment for a while. Nothing is held back
   * meanwhile. @returns Ends the wait.
   */
  whenCalm(run: () => void, onBusy: () => void): () => void {
    return this.calm.wait(run, onBusy);
  }

  messages(text: string): void {
    if (this.isEnded) return;
    const { codec } = this.deps;
    this.events.frame(text);
    // A listener may have ended it.
    if (this.ended()) return;
    if (codec.end !== undefined) {
      const { code, retryAfterMs, message } = codec.end;
      // Numbers that do not fit are of a proxy that repeats requests: no reason to stop for good, once the client was welcomed.
      const isRetryable = code === CLOSE_CODES.protocol_error.code && this.isWelcomed;
      const reason = retryAfterMs > 0 ? `overloaded|${retryAfterMs}` : '';
      this.finish(isRetryable ? 1006 : code, reason, message ?? '');
      return;
    }
    this.welcome();
    this.calm.look();
  }

  refused(answer: HttpAnswer): void {
    void refusalOf(answer).then((refusal) => {
      if (this.isEnded) return;
      switch (refusal.kind) {
        case 'refused': {
          const forbidden = refusal.code === 'banned' ? CLOSE_CODES.banned : CLOSE_CODES.forbidden;
          const { code } = refusal.status === 401 ? CLOSE_CODES.unauthorized : forbidden;
          this.finish(code, '', refusal.message ?? '');
          return;
        }
        case 'busy':
          this.finish(1006, `overloaded|${refusal.retryAfterMs}`, `The server answered ${refusal.status}`);
          return;
        default: {
          const { status } = answer;
          // A server without these sessions, or an older one; or one that is being replaced, so the second one proves it.
          const isMissing = status === 404 || status === 405 || status === 501;
          const what = `${below(this.url, this.deps.path)} answered ${status}`;
          const why = isMissing
            ? `${what}: no sessions over HTTP here: check the URL, the proxies, and the server's transports.httpSessions`
            : what;
          if (isMissing) this.deps.onMissing(why);
          this.failed(why, 'broken', status === 413);
        }
      }
    });
  }

  failed(failure: string, blame: Blame = 'broken', isTooLarge = false): void {
    const { isThere, onFailure } = this.deps;
    this.carrier?.stop();
    // Only while the server is there it is the transport's fault.
    void isThere(this.url).then((proof) => {
      if (this.isEnded) return;
      onFailure(proof ? blame : 'unproven');
      this.finish(isTooLarge ? CLOSE_CODES.message_too_large.code : 1006, '', failure);
    });
  }

  unread(failure: string): void {
    const { isThere, onFailure, onUnreadable, path, credentials } = this.deps;
    if (!isForeign(this.url) || credentials === 'omit') {
      this.failed(failure);
      return;
    }
    void isThere(this.url).then((proof) => {
      if (this.isEnded) return;
      const isRepeated = proof && this.hasToken && onUnreadable();
      onFailure(proof && !isRepeated ? 'broken' : 'unproven');
      const remedy = isRepeated
        ? 'the next attempt sends no cookies'
        : "list its origin in the server's allowedOrigins, or set httpFallback({ credentials: 'omit' })";
      this.finish(
        1006,
        '',
        proof ? `${below(this.url, path)} cannot be read from this page: ${remedy}` : failure,
      );
    });
  }

  lost({ code, reason, failure }: SessionLoss): void {
    // What the server said before tells more than how the session was cut.
    const isKnown = this.deps.codec.saidBye && code === 1006;
    this.finish(code, reason, isKnown ? '' : failure);
  }

  private open(lines: readonly string[]): void {
    const { path, start } = this.deps;
    const { token, ticket } = readSubprotocols(this.protocols);
    const [hello = ''] = lines;
    this.hasToken = token !== undefined || 'token' in recordOf(jsonOf(hello)['payload']);
    this.carrier = start(
      { ...this.deps, url: below(this.url, path) },
      {
        body: lines.length === 1 ? hello : `[${lines.join(',')}]`,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          // As the subprotocol of a WebSocket: it lets clients that come back in before new ones (G17).
          ...(ticket === undefined ? {} : { 'realtime-resume': ticket }),
        },
      },
      this,
    );
  }

  private welcome(): void {
    const { codec, requestLimitMs } = this.deps;
    const { welcome } = codec;
    if (this.isWelcomed || welcome === undefined) return;
    const { connection, heartbeat, limits, retry } = welcome;
    this.isWelcomed = true;
    if (connection === undefined) {
      this.finish(1006, '', 'The server named no session');
      return;
    }
    // Without a request for that long the server takes the client for dead.
    const patienceMs = heartbeat.timeoutMs;
    const requests: SessionRequests = {
      ...this.deps,
      requestLimitMs,
      patienceMs,
      // Its carrier tells when it does not live.
      refusalsProveLife: true,
      spreadMs: retry.firstSpreadMs,
    };
    this.sender = new Sender(requests, below(this.url, 'send'), connection, limits, (loss) =>
      this.lost(loss),
    );
    this.sender.push(this.early);
    this.early = [];
    this.deps.onWelcome(this);
  }

  // A function, as the compiler does not know that a call in between may change it.
  private ended(): boolean {
    return this.isEnded;
  }

  private finish(
    code: number,
    reason: string,
    failure: string,
    report: (task: () => void) => void = (task) => task(),
  ): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.calm.stop();
    this.carrier?.stop();
    this.sender?.stop();
    // Where it was told already, another session may have begun.
    if (!this.isLeaving) this.deps.onEnd();
    report(() => this.events.closed(code, reason, failure === '' ? undefined : failure));
  }
}
