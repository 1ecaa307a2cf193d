import { CLOSE_CODES, closeNameOf } from '../../protocol/close-codes.js';
import type { Envelope } from '../../protocol/envelope.js';
import { ERROR_CODES } from '../../protocol/error-codes.js';
import type { FrameLimits } from '../../protocol/limits.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { Backoff } from '../backoff.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import { errorOfClosed } from '../errors.js';
import type { ClientSettings } from '../options.js';
import type { ClientStatus, ErrorContext } from '../state.js';
import { deferred, type Deferred } from '../deferred.js';
import type { TakenToken, TokenSource } from '../token.js';
import { probe, type Probe, type ProbeAnswer } from '../transport/probe.js';
import type { OpenTransport } from '../transport/transport.js';
import { verdictOf, wasTooMuch, type ConnectionEnd, type Verdict } from './reconnect-policy.js';
import { Connection } from './connection.js';
import { UNKNOWN_LIMITS } from './early-outbox.js';
import { greetingOf } from './greeting.js';
import type { Welcome } from './welcome.js';
import type { EarlyWire, Wire } from './wire.js';

/** How long `close()` waits for the peer's close frame. */
const CLOSE_WAIT_MS = 2_000;

/** What the connector tells the client, in this order: `status` last, so that its listeners see the rest done. */
export interface ConnectorEvents {
  /** A connection said `hello`: `live` or `lost` follows, unless the client stops. */
  greeting(wire: EarlyWire): void;
  live(welcome: Welcome, wire: Wire): void;
  message(envelope: Envelope): void;
  /** A connection that had opened is gone; the client may come back. */
  lost(): void;
  /** The client stays closed until `connect()`. `byUser`: the application said so. */
  stopped(error: RealtimeError, byUser: boolean): void;
  status(status: ClientStatus): void;
  error(error: unknown, source: ErrorContext['source']): void;
}

/** Keeps one connection up: attempts, waiting, verdicts, the session ticket (P18, P19, P28). */
export class Connector {
  private current: ClientStatus = { state: 'idle' };
  /** Number of the attempt; whatever an older one still reports is ignored. */
  private run = 0;
  private readonly backoff: Backoff;
  private connection: Connection | undefined;
  private taken: TakenToken | undefined;
  private probing: Probe | undefined;
  /** The next attempt, or the moment at which the live connection counts as stable. */
  private timer: ClientTimer | undefined;
  /** Kept in memory only: a duplicated tab would copy `sessionStorage` (P28). */
  private ticket: string | undefined;
  private ready: Deferred<void> | undefined;
  /** What may go with the next `hello`: by the limits of the last `welcome`, so long as attempts get that far. */
  private early: FrameLimits | undefined = UNKNOWN_LIMITS;

  constructor(
    private readonly settings: ClientSettings,
    private readonly tokens: TokenSource | undefined,
    private readonly open: OpenTransport,
    private readonly httpUrl: string,
    private readonly events: ConnectorEvents,
  ) {
    this.backoff = new Backoff(settings.random);
  }

  get status(): ClientStatus {
    return this.current;
  }

  /** Opens, or waits for the opening that is under way. */
  connect(): Promise<void> {
    if (this.current.state === 'live') return Promise.resolve();
    this.ready ??= deferred();
    const { promise, quiet } = this.ready;
    // Who does not await it learns the same from the state.
    quiet();
    if (this.current.state === 'idle' || this.current.state === 'closed') this.start();
    return promise;
  }

  /** Ends a wait at once. The count of attempts goes on, so failing again waits longer. */
  retryNow(): void {
    if (this.current.state !== 'waiting') return;
    this.timer?.cancel();
    this.attempt();
  }

  /**
   * Opens a client that was never used.
   *
   * @throws RealtimeError when it was closed: only `connect()` opens it again.
   */
  ensureStarted(): void {
    if (this.current.state === 'closed') throw errorOfClosed(this.current);
    if (this.current.state === 'idle') this.start();
  }

  close(): Promise<void> {
    if (this.current.state === 'closed') return Promise.resolve();
    const { connection } = this;
    this.quit();
    this.ticket = undefined;
    const status: ClientStatus = { state: 'closed', code: CLOSE_CODES.normal.code, name: 'normal' };
    const gone = connection === undefined ? Promise.resolve() : leaving(connection, this.settings.clock);
    this.finish(status, true);
    return gone;
  }

  private start(): void {
    this.backoff.reset();
    this.attempt();
  }

  private attempt(): void {
    const run = ++this.run;
    this.timer = undefined;
    this.setStatus({ state: 'connecting', attempt: this.backoff.attempt });
    if (run !== this.run) return;
    if (this.tokens === undefined) {
      this.dial(run, undefined);
      return;
    }
    this.tokens.take().then(
      (taken) => {
        if (run === this.run) this.dial(run, taken);
      },
      (error: unknown) => {
        if (run === this.run) this.tokenFailed(error);
      },
    );
  }

  private dial(run: number, taken: TakenToken | undefined): void {
    this.taken = taken;
    const { codec, clock, ids, connectTimeoutMs } = this.settings;
    const isMine = (): boolean => run === this.run;
    try {
      const { hello, protocols } = greetingOf(this.settings, taken?.token, this.ticket);
      this.connection = new Connection(
        {
          open: this.open,
          protocols,
          codec,
          clock,
          ids,
          hello,
          early: this.early,
          timeoutMs: connectTimeoutMs,
        },
        {
          greeting: (wire) => {
            if (isMine()) this.events.greeting(wire);
          },
          welcomed: (welcome, wire) => {
            if (isMine()) this.welcomed(welcome, wire);
          },
          message: (envelope) => {
            if (isMine()) this.events.message(envelope);
          },
          ended: (end) => {
            if (isMine()) this.ended(run, end);
          },
          malformed: (error) => this.events.error(error, 'protocol'),
        },
      );
    } catch (error) {
      // The platform refuses the URL or a subprotocol: the next attempt would fare the same.
      const reason = error instanceof Error ? error.message : String(error);
      this.stop({ state: 'closed', code: CLOSE_CODES.protocol_error.code, name: 'protocol_error', reason });
    }
  }

  private welcomed(welcome: Welcome, wire: Wire): void {
    const { run } = this;
    this.ticket = welcome.session;
    this.early = welcome.limits;
    this.backoff.adopt(welcome.retry);
    this.timer = this.settings.clock.schedule(welcome.retry.stableMs, () => this.backoff.reset());
    this.events.live(welcome, wire);
    if (run !== this.run) return;
    this.ready?.resolve();
    this.ready = undefined;
    this.setStatus({ state: 'live' });
  }

  private ended(run: number, end: ConnectionEnd): void {
    this.connection = undefined;
    this.timer?.cancel();
    if (wasTooMuch(end)) this.early = undefined;
    if (end.opened) this.events.lost();
    if (run !== this.run) return;
    const { fetch, tokenIn, clock, connectTimeoutMs } = this.settings;
    if (end.opened || fetch === false) {
      this.judge(end, undefined);
      return;
    }
    const token = tokenIn === 'subprotocol' ? this.taken?.token : undefined;
    this.probing = probe(fetch, this.httpUrl, token, clock, connectTimeoutMs);
    void this.probing.answer.then((answer) => {
      if (run === this.run) this.judge(end, answer);
    });
  }

  private judge(end: ConnectionEnd, answer: ProbeAnswer | undefined): void {
    this.probing = undefined;
    const verdict = verdictOf(
      end,
      { renewable: this.tokens !== undefined, fresh: this.taken?.fresh ?? false },
      answer,
    );
    if (verdict.renewToken) this.tokens?.refuse();
    const { code, name, reason } = verdict;
    const facts = {
      code,
      ...(name === undefined ? {} : { name }),
      ...(reason === undefined ? {} : { reason }),
    };
    if (verdict.action !== 'retry') {
      this.stop({ state: 'closed', ...facts });
      return;
    }
    if (answer?.kind === 'unexpected') {
      this.events.error(
        new RealtimeError(
          'unavailable',
          `${this.httpUrl} answered ${answer.status}: check the URL and the proxies before it`,
        ),
        'connection',
      );
    }
    this.wait(facts, end.welcomed, verdict.advice);
  }

  private tokenFailed(error: unknown): void {
    this.taken = undefined;
    const reason = `No token: ${error instanceof Error ? error.message : String(error)}`;
    if (error instanceof RealtimeError && !ERROR_CODES[error.code].retryable) {
      const name = error.code === 'forbidden' || error.code === 'banned' ? error.code : 'unauthorized';
      this.stop({ state: 'closed', code: CLOSE_CODES[name].code, name, reason });
      return;
    }
    this.events.error(error, 'token');
    this.wait({ reason }, false);
  }

  private wait(facts: Partial<ClientStatus>, lost: boolean, advice?: Verdict['advice']): void {
    const attempt = this.backoff.attempt;
    const delayMs = this.backoff.next(lost, advice);
    this.timer = this.settings.clock.schedule(delayMs, () => this.attempt());
    this.setStatus({ ...facts, state: 'waiting', delayMs, attempt });
  }

  private stop(status: ClientStatus): void {
    this.quit();
    // The newer connection owns the ticket now; a later connect() must not take the session back unasked.
    if (closeNameOf(status.code ?? 0) === 'superseded') this.ticket = undefined;
    this.finish(status, false);
  }

  /** Ends whatever runs. */
  private quit(): void {
    this.run++;
    this.timer?.cancel();
    this.timer = undefined;
    this.probing?.abort();
    this.probing = undefined;
    this.connection = undefined;
    this.taken = undefined;
  }

  private finish(status: ClientStatus, byUser: boolean): void {
    const { ready, run } = this;
    const error = errorOfClosed(status);
    this.ready = undefined;
    this.current = status;
    ready?.reject(error);
    this.events.stopped(error, byUser);
    if (run === this.run) this.setStatus(status);
  }

  private setStatus(status: ClientStatus): void {
    this.current = status;
    this.events.status(status);
  }
}

/** Resolves when the transport has closed, or after a short while: a half-open one takes minutes. */
function leaving(connection: Connection, clock: ClientClock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.schedule(CLOSE_WAIT_MS, resolve);
    connection.leave(() => {
      timer.cancel();
      resolve();
    });
  });
}
