import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { FrameLimits } from '../../protocol/envelope.js';
import { ERROR_CODES } from '../../protocol/error-codes.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { Backoff, type Advice } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import { errorOfClosed } from '../errors.js';
import type { ClientSettings } from '../options.js';
import { deferred, type Deferred } from '../promises.js';
import type { ClientStatus, Counts } from '../state.js';
import type { TakenToken, TokenSource } from '../token.js';
import { probe, type Probe, type ProbeAnswer } from '../transport/probe.js';
import type { Endpoints, OpenTransport } from '../transport/websocket.js';
import { ServerConnection, type ServerConnectionEvents, type Wire } from './connection.js';
import { UNKNOWN_LIMITS } from './frames.js';
import { greetingOf, type Welcome } from './handshake.js';
import { watchPage } from './page-signals.js';
import { decide, earlyFrameRefused, type ConnectionEnd } from './reconnect-policy.js';

/** How long `close()` waits for the peer's close frame. */
const CLOSE_WAIT_MS = 2_000;

/**
 * What the connector reports. After `greeting` follows `live` or `lost`, unless the client stops. `status` comes last, so
 * that its listeners find the rest done.
 */
export interface ConnectorEvents extends Pick<ServerConnectionEvents, 'greeting' | 'message' | 'error'> {
  /** @param token The token that was sent, if any. */
  live(welcome: Welcome, wire: Wire, token: string | undefined): void;
  /** A connection that had opened is gone; the client may come back. */
  lost(): void;
  /** The client stays closed until `connect()`. `byUser`: the application called `close()`. */
  stopped(error: RealtimeError, byUser: boolean): void;
  status(status: ClientStatus): void;
}

/** Keeps one connection up: attempts, waits, reconnect decisions, and the session ticket (P19). */
export class Connector {
  private current: ClientStatus = { state: 'idle' };
  /** Number of the attempt; what an older one still reports is ignored. */
  private run = 0;
  private readonly backoff: Backoff;
  private connection: ServerConnection | undefined;
  private taken: TakenToken | undefined;
  private probing: Probe | undefined;
  private unwatch: (() => void) | undefined;
  /** Whether the server said when to come back: what the page notices does not shorten that wait. */
  private advised = false;
  /** Whether the page said, while the server was asked why an upgrade failed, that the network is another one now. */
  private prompt = false;
  /** The next attempt, or the moment at which the live connection counts as stable. */
  private timer: ClientTimer | undefined;
  /** Kept in memory only: a duplicated tab would copy `sessionStorage` (P28). */
  private ticket: string | undefined;
  private ready: Deferred<void> | undefined;
  /** What may go with the next `hello`: the limits of the last `welcome`, unless the server refused such a frame. */
  private early: FrameLimits | undefined = UNKNOWN_LIMITS;

  constructor(
    private readonly settings: ClientSettings,
    private readonly tokens: TokenSource | undefined,
    private readonly open: OpenTransport,
    private readonly endpoints: () => Endpoints,
    private readonly counts: Counts,
    private readonly events: ConnectorEvents,
  ) {
    this.backoff = new Backoff(settings.random);
  }

  get status(): ClientStatus {
    return this.current;
  }

  /** Of the live connection. */
  get roundTripMs(): number | undefined {
    return this.connection?.roundTripMs;
  }

  /** Opens the connection, or waits until it is open. */
  connect(): Promise<void> {
    if (this.current.state === 'live') return Promise.resolve();
    this.ready ??= deferred();
    const { promise, ignoreRejection } = this.ready;
    // The state tells the same, so the promise need not be awaited.
    ignoreRejection();
    if (this.current.state === 'idle' || this.current.state === 'closed') this.start();
    return promise;
  }

  /** Ends a wait at once. The attempt counts, so that the next wait is longer if it fails. */
  retryNow(): void {
    if (this.current.state !== 'waiting') return;
    this.timer?.cancel();
    this.attempt();
  }

  /**
   * Opens a client that was never used.
   *
   * @throws RealtimeError when it is closed: only `connect()` opens it again. Also when this platform cannot connect.
   */
  ensureStarted(): void {
    if (this.current.state === 'idle') this.start();
    if (this.current.state === 'closed') throw errorOfClosed(this.current);
  }

  /**
   * Also forgets who the user was, and so does something for a client that the server closed.
   *
   * Resolves when the transport has closed, or after two seconds: on a half-open connection a close takes minutes.
   */
  close(): Promise<void> {
    const { connection } = this;
    this.quit();
    this.ticket = undefined;
    this.tokens?.forget();
    const { promise, resolve } = deferred<void>();
    if (connection === undefined) {
      resolve();
    } else {
      const timer = this.settings.clock.schedule(CLOSE_WAIT_MS, resolve);
      connection.leave(() => {
        timer.cancel();
        resolve();
      });
    }
    this.finish(statusOf('normal'), true);
    return promise;
  }

  private start(): void {
    this.backoff.reset();
    if (this.settings.network) this.unwatch ??= watchPage((signal) => this.onSignal(signal));
    this.attempt();
  }

  private onSignal(signal: 'lost' | 'back'): void {
    if (this.probing !== undefined) {
      this.prompt = true;
      this.probing.abort();
    }
    this.connection?.check();
    if (signal === 'back' && !this.advised) this.retryNow();
  }

  private attempt(): void {
    const run = ++this.run;
    this.setStatus({ state: 'connecting', attempt: this.backoff.attempt });
    if (run !== this.run) return;
    if (this.tokens === undefined) {
      this.dial();
      return;
    }
    this.tokens.take().then(
      (taken) => {
        if (run === this.run) this.dial(taken);
      },
      (error: unknown) => {
        if (run === this.run) this.tokenFailed(error);
      },
    );
  }

  private dial(taken?: TakenToken): void {
    this.taken = taken;
    const { settings, events, open, early, counts } = this;
    try {
      this.connection = new ServerConnection(
        {
          ...settings,
          ...greetingOf(settings, taken?.token, this.ticket),
          url: this.endpoints().socket,
          open,
          early,
          counts,
        },
        {
          ...events,
          welcomed: (welcome, wire) => this.welcomed(welcome, wire),
          ended: (end) => this.ended(end),
        },
      );
    } catch (error) {
      // The platform refuses the URL or a subprotocol: the next attempt would fail alike.
      this.stop(statusOf('protocol_error', messageOf(error), error));
    }
  }

  private welcomed(welcome: Welcome, wire: Wire): void {
    const { run } = this;
    this.ticket = welcome.session;
    this.early = welcome.limits;
    this.backoff.adopt(welcome.retry);
    this.timer = this.settings.clock.schedule(welcome.retry.stableMs, () => this.backoff.reset());
    this.events.live(welcome, wire, this.taken?.token);
    if (run !== this.run) return;
    this.ready?.resolve();
    this.ready = undefined;
    this.setStatus({ state: 'live' });
  }

  private ended(end: ConnectionEnd): void {
    const { run } = this;
    this.connection = undefined;
    this.timer?.cancel();
    if (earlyFrameRefused(end)) this.early = undefined;
    if (end.opened) this.events.lost();
    if (run !== this.run) return;
    const { fetch, tokenIn, clock, connectTimeoutMs } = this.settings;
    if (end.opened || end.prompt === true || fetch === false) {
      this.follow(end);
      return;
    }
    const token = tokenIn === 'subprotocol' ? this.taken?.token : undefined;
    this.probing = probe(fetch, this.endpoints().http, token, clock, connectTimeoutMs);
    void this.probing.answer.then((answer) => {
      if (run === this.run) this.follow(end, answer);
    });
  }

  /** Follows the reconnect policy after the end of a connection. */
  private follow(end: ConnectionEnd, answer?: ProbeAnswer): void {
    this.probing = undefined;
    const credentials = { renewable: this.tokens !== undefined, fresh: this.taken?.fresh ?? false };
    const { action, renewToken, advice, ...facts } = decide(end, credentials, answer, this.endpoints().http);
    if (renewToken) this.tokens?.refuse();
    if (action !== 'retry') {
      this.stop({ state: 'closed', ...facts });
      return;
    }
    if (answer?.kind === 'unexpected') {
      const message = `${this.endpoints().http} answered ${answer.status}: check the URL and the proxies in front of it`;
      this.events.error(new RealtimeError('unavailable', message), 'connection');
    }
    this.wait(facts, end.welcomed, advice, end.prompt === true || this.prompt);
  }

  private tokenFailed(error: unknown): void {
    this.taken = undefined;
    const reason = `No token: ${messageOf(error)}`;
    if (error instanceof RealtimeError && !ERROR_CODES[error.code].retryable) {
      const isRefusal = error.code === 'forbidden' || error.code === 'banned';
      this.stop(statusOf(isRefusal ? error.code : 'unauthorized', reason, error));
      return;
    }
    this.events.error(error, 'token');
    this.wait({ reason, cause: error }, false);
  }

  private wait(facts: Partial<ClientStatus>, lost: boolean, advice?: Advice, prompt = false): void {
    const { attempt } = this.backoff;
    const delayMs = this.backoff.next(lost, advice, prompt);
    this.advised = advice !== undefined;
    this.prompt = false;
    this.timer = this.settings.clock.schedule(delayMs, () => this.attempt());
    this.setStatus({ ...facts, state: 'waiting', delayMs, attempt });
  }

  private stop(status: ClientStatus): void {
    this.quit();
    // The newer connection owns the ticket now; a later connect() must not take the session back unasked.
    if (status.name === 'superseded') this.ticket = undefined;
    this.finish(status, false);
  }

  /** Ends what is under way. */
  private quit(): void {
    this.run++;
    this.timer?.cancel();
    this.probing?.abort();
    this.probing = undefined;
    this.prompt = false;
    this.connection = undefined;
    this.taken = undefined;
  }

  private finish(status: ClientStatus, byUser: boolean): void {
    this.unwatch?.();
    this.unwatch = undefined;
    const { ready, run, current } = this;
    const error = errorOfClosed(status);
    this.ready = undefined;
    this.current = status;
    ready?.reject(error);
    this.events.stopped(error, byUser);
    const isNews = current.state !== 'closed' || current.name !== status.name;
    if (run === this.run && isNews) this.setStatus(status);
  }

  private setStatus(status: ClientStatus): void {
    this.current = status;
    this.log(status);
    this.events.status(status);
  }

  private log(status: ClientStatus): void {
    const { state, attempt = 0, delayMs = 0, code, name, reason } = status;
    const why = [code, name, reason].filter((part) => part !== undefined).join(' ');
    if (state === 'waiting')
      this.settings.log('warn', `Attempt ${attempt + 1} follows in ${Math.ceil(delayMs)} ms: ${why}`, status);
    else if (state === 'closed')
      this.settings.log(name === 'normal' ? 'info' : 'error', `The client is closed: ${why}`, status);
    else this.settings.log('info', state === 'live' ? 'Live' : `Connecting, attempt ${attempt}`, status);
  }
}

function statusOf(name: CloseName, reason?: string, cause?: unknown): ClientStatus {
  return omitUndefined({ state: 'closed', code: CLOSE_CODES[name].code, name, reason, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
