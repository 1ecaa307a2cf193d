import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { FrameLimits } from '../../protocol/envelope.js';
import { ERROR_CODES } from '../../protocol/error-codes.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { Backoff, LOSS, type Advice, type BackoffDeps } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import { errorOfClosed } from '../errors.js';
import type { ClientSettings } from '../options.js';
import { deferred, type Deferred } from '../promises.js';
import type { ClientStatus, Counts } from '../state.js';
import type { TakenToken, TokenSource } from '../token.js';
import { probe, type Probe, type ProbeAnswer } from '../transport/probe.js';
import type { Ladder, Route } from '../transport/fallback.js';
import type { Endpoints } from '../transport/websocket.js';
import {
  openConnection,
  type ServerConnection,
  type ServerConnectionEvents,
  type Wire,
} from './connection.js';
import { UNKNOWN_LIMITS } from './frames.js';
import { greetingOf, type Welcome } from './handshake.js';
import { watchPage } from './page-signals.js';
import { decide, earlyFrameRefused, type ConnectionEnd } from './reconnect-policy.js';

/** How long `close()` waits for the peer's close frame. */
const CLOSE_WAIT_MS = 2_000;

const SAME_TOKEN = 'The option "token" gave the same expired token again: fetch a new one';

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

/** What the connector needs. */
export interface ConnectorDeps extends ClientSettings, BackoffDeps, Route {
  readonly tokens: TokenSource | undefined;
  /** Chooses another route for an attempt. Without one, each is a WebSocket. */
  readonly ladder: Ladder | undefined;
  readonly endpoints: () => Endpoints;
  readonly counts: Counts;
}

/** Keeps one connection up: attempts, waits, reconnect decisions, and the session ticket (P19). */
export interface Connector {
  readonly status: ClientStatus;
  /** Of the live connection. */
  readonly roundTripMs: number | undefined;
  /** Opens the connection, or waits until it is open. */
  connect(): Promise<void>;
  /** Ends a wait at once. The attempt counts, so that the next wait is longer if it fails. */
  retryNow(): void;
  /**
   * Opens a client that was never used.
   *
   * @throws RealtimeError when it is closed: only `connect()` opens it again. Also when this platform cannot connect.
   */
  ensureStarted(): void;
  /**
   * Also forgets who the user was, and so does something for a client that the server closed.
   *
   * Resolves when the transport has closed, or after two seconds: on a half-open connection a close takes minutes.
   */
  close(): Promise<void>;
}

export function createConnector(deps: ConnectorDeps, events: ConnectorEvents): Connector {
  const { clock, tokens, endpoints, ladder, log } = deps;
  const backoff = new Backoff(deps);
  const remedy =
    (ladder === undefined ? ', or use fallback: httpFallback()' : '') +
    (deps.codec.binary ? ', or the server lacks the codec' : '');
  let current: ClientStatus = { state: 'idle' };
  /** Number of the attempt; what an older one still reports is ignored. */
  let run = 0;
  let connection: ServerConnection | undefined;
  let taken: TakenToken | undefined;
  /** The last token that a server refused, or that expired. */
  let refused: string | undefined;
  let route: Route = deps;
  let probing: Probe | undefined;
  let unwatch: (() => void) | undefined;
  /** Whether the server said when to come back: what the page notices does not shorten that wait. */
  let isAdvised = false;
  /** Whether the page said, while the server was asked why an upgrade failed, that the network is another one now. */
  let isPrompt = false;
  /** The next attempt. */
  let timer: ClientTimer | undefined;
  /** Kept in memory only: a duplicated tab would copy `sessionStorage` (P28). */
  let ticket: string | undefined;
  let ready: Deferred<void> | undefined;
  /** What may go with the next `hello`: the limits of the last `welcome`, unless the server refused such a frame. */
  let early: FrameLimits | undefined = UNKNOWN_LIMITS;

  function retryNow(): void {
    if (current.state !== 'waiting') return;
    timer?.cancel();
    attempt();
  }

  function start(): void {
    backoff.reset();
    if (deps.network) unwatch ??= watchPage(onSignal);
    attempt();
  }

  function onSignal(signal: 'lost' | 'back'): void {
    if (probing !== undefined) {
      isPrompt = true;
      probing.abort();
    }
    connection?.check();
    if (signal === 'back' && !isAdvised) retryNow();
  }

  function attempt(): void {
    const own = ++run;
    setStatus({ state: 'connecting', attempt: backoff.attempt });
    if (own !== run) return;
    if (tokens === undefined) {
      dial();
      return;
    }
    tokens.take().then(
      (token) => {
        if (own === run) dial(token);
      },
      (error: unknown) => {
        if (own === run) tokenFailed(error);
      },
    );
  }

  function dial(token?: TakenToken): void {
    taken = token;
    try {
      route = ladder?.choose() ?? route;
      const own = { ...deps, ...route };
      connection = openConnection(
        { ...own, ...greetingOf(own, token?.token, ticket), url: endpoints().socket, early },
        { ...events, welcomed, ended },
      );
    } catch (error) {
      // The platform refuses the URL or a subprotocol: the next attempt would fail alike.
      stop(statusOf('protocol_error', messageOf(error), error));
    }
  }

  function welcomed(welcome: Welcome, wire: Wire): void {
    const own = run;
    ticket = welcome.session;
    early = welcome.limits;
    events.live(welcome, wire, taken?.token);
    if (own !== run) return;
    backoff.began();
    ready?.resolve();
    ready = undefined;
    setStatus({ state: 'live', transport: route.transport });
  }

  function ended(end: ConnectionEnd): void {
    const own = run;
    connection = undefined;
    backoff.ended();
    if (earlyFrameRefused(end)) early = undefined;
    if (end.opened) events.lost();
    if (own !== run) return;
    const { fetch, tokenIn, connectTimeoutMs } = deps;
    if (end.opened || end.prompt === true || fetch === false) {
      follow(end);
      return;
    }
    const token = tokenIn === 'subprotocol' ? taken?.token : undefined;
    probing = probe(fetch, endpoints().http, token, clock, connectTimeoutMs);
    void probing.answer.then((answer) => {
      if (own === run) follow(end, answer);
    });
  }

  /** Follows the reconnect policy after the end of a connection. */
  function follow(end: ConnectionEnd, answer?: ProbeAnswer): void {
    probing = undefined;
    const url = endpoints().http;
    const credentials = { renewable: tokens !== undefined, fresh: taken?.fresh ?? false };
    const { action, renewToken, advice, ...facts } = decide(end, credentials, answer, url, remedy);
    ladder?.ended(end, answer, facts.reason);
    const isSame = renewToken && taken !== undefined && taken.token === refused;
    if (renewToken) {
      refused = taken?.token;
      tokens?.refuse();
    }
    if (action !== 'retry') {
      stop({ state: 'closed', ...facts });
      return;
    }
    if (isSame) events.error(new RealtimeError('token_expired', SAME_TOKEN), 'token');
    if (answer?.kind === 'unexpected') {
      events.error(new RealtimeError('unavailable', facts.reason), 'connection');
    }
    wait(facts, end.welcomed, advice, end.prompt === true || isPrompt);
  }

  function tokenFailed(error: unknown): void {
    taken = undefined;
    const reason = `No token: ${messageOf(error)}`;
    if (error instanceof RealtimeError && !ERROR_CODES[error.code].retryable) {
      const isRefusal = error.code === 'forbidden' || error.code === 'banned';
      stop(statusOf(isRefusal ? error.code : 'unauthorized', reason, error));
      return;
    }
    events.error(error, 'token');
    wait({ reason, cause: error });
  }

  /**
   * @param wasLive Whether a live connection was lost, perhaps together with those of all other clients.
   * @param prompt Whether only this client is concerned, as after a change of its network: then it need not wait.
   */
  function wait(facts: Partial<ClientStatus>, wasLive = false, advice?: Advice, prompt = false): void {
    const number = backoff.attempt;
    const nextMs = backoff.next(advice ?? (wasLive ? LOSS : undefined));
    isAdvised = advice !== undefined;
    const delayMs = prompt && !isAdvised ? 0 : nextMs;
    isPrompt = false;
    timer = clock.schedule(delayMs, attempt);
    setStatus({ ...facts, state: 'waiting', delayMs, attempt: number });
  }

  function stop(status: ClientStatus): void {
    quit();
    // The newer connection owns the ticket now; a later connect() must not take the session back unasked.
    if (status.name === 'superseded') ticket = undefined;
    finish(status, false);
  }

  /** Ends what is under way. */
  function quit(): void {
    run++;
    timer?.cancel();
    probing?.abort();
    connection = probing = taken = undefined;
    isPrompt = false;
  }

  function finish(status: ClientStatus, byUser: boolean): void {
    unwatch?.();
    unwatch = undefined;
    const waiting = ready;
    const before = current;
    const own = run;
    const error = errorOfClosed(status);
    ready = undefined;
    current = status;
    waiting?.reject(error);
    events.stopped(error, byUser);
    if (own === run && (before.state !== 'closed' || before.name !== status.name)) setStatus(status);
  }

  function setStatus(status: ClientStatus): void {
    const { state, attempt: number, delayMs, code, name, reason = name } = status;
    current = status;
    const parts = [
      state,
      number !== undefined && `, attempt ${number}`,
      delayMs !== undefined && `, the next in ${delayMs} ms`,
      reason !== undefined && `: ${code === undefined ? '' : `${code} `}${reason}`,
    ];
    const isGood = reason === undefined || name === 'normal';
    log(
      // What moves on purpose is no problem.
      isGood || code === CLOSE_CODES.rotate.code ? 'info' : state === 'waiting' ? 'warn' : 'error',
      parts.filter((part) => part !== false).join(''),
      status,
    );
    events.status(status);
  }

  return {
    get status() {
      return current;
    },
    get roundTripMs() {
      return connection?.roundTripMs;
    },
    retryNow,
    connect() {
      const { state } = current;
      if (state === 'live') return Promise.resolve();
      ready ??= deferred();
      const { promise, ignoreRejection } = ready;
      // The state tells the same, so the promise need not be awaited.
      ignoreRejection();
      if (state === 'idle' || state === 'closed') start();
      return promise;
    },
    ensureStarted() {
      if (current.state === 'idle') start();
      if (current.state === 'closed') throw errorOfClosed(current);
      ladder?.needed();
    },
    close() {
      const left = connection;
      quit();
      ticket = refused = undefined;
      tokens?.forget();
      const { promise, resolve } = deferred<void>();
      if (left === undefined) {
        resolve();
      } else {
        const limit = clock.schedule(CLOSE_WAIT_MS, resolve);
        left.leave(() => {
          limit.cancel();
          resolve();
        });
      }
      finish(statusOf('normal'), true);
      return promise;
    },
  };
}

function statusOf(name: CloseName, reason?: string, cause?: unknown): ClientStatus {
  return omitUndefined({ state: 'closed', code: CLOSE_CODES[name].code, name, reason, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
