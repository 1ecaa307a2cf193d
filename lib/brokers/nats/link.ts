import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Scheduled } from '../../core/ports/clock.js';
import { LogLink } from '../replicated/log-link.js';
import { LogSetupError, LogUnavailableError } from '../replicated/ordered-log.js';
import type { NatsDriver } from './driver.js';
import { messageOf } from './errors.js';
import type { LogDeps } from '../replicated/log-deps.js';
import type { NatsLogSettings } from './options.js';

/** Pause between two attempts to connect, and how much of it is by chance. */
const RECONNECT_MS = 200;
const RECONNECT_JITTER_MS = 200;
/** A connection on which two pings were not answered is over: about six seconds. */
const PING_MS = 2_000;
const MAX_PINGS = 2;

/** How often a question is sent within the time that it may take. */
const QUESTIONS = 5;

/** The connection to NATS: connects again by itself, and numbers its sessions. */
export class NatsLink extends LogLink {
  private isEnding = false;

  private constructor(
    private readonly driver: NatsDriver,
    private readonly settings: NatsLogSettings,
    private readonly deps: LogDeps,
    /** The connection, which lives through reconnects. */
    private current: NatsConnection,
    private api: { readonly js: JetStreamClient; readonly jsm: JetStreamManager },
  ) {
    super();
  }

  /** @throws LogSetupError when no server can be reached or takes the credentials */
  static async open(driver: NatsDriver, settings: NatsLogSettings, deps: LogDeps): Promise<NatsLink> {
    const nc = await connectOnce(driver, settings).catch((error: unknown) => {
      throw setupError(settings, error);
    });
    try {
      const link = new NatsLink(driver, settings, deps, nc, await apiOf(driver, settings, nc));
      link.open();
      void link.watch(nc);
      return link;
    } catch (error) {
      await nc.close();
      throw error;
    }
  }

  get nc(): NatsConnection {
    return this.current;
  }

  get js(): JetStreamClient {
    return this.api.js;
  }

  get jsm(): JetStreamManager {
    return this.api.jsm;
  }

  /**
   * Whether what is published now is sent now. The client keeps what it is given while it connects and sends it afterwards, and tells
   * of a lost connection a little later: an append may do neither.
   */
  get isReady(): boolean {
    const { protocol } = this.current as { protocol?: { connected?: boolean } };
    return this.connected && !this.current.isClosed() && protocol?.connected !== false;
  }

  /** @throws LogUnavailableError while there is no connection */
  assertReady(): void {
    if (!this.isReady) throw new LogUnavailableError('There is no connection to NATS');
  }

  /**
   * Waits for an answer no longer than the connection lasts: what the client itself makes of that is a time-out, or nothing.
   *
   * @throws LogUnavailableError when there is no connection, or it ends
   */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    this.assertReady();
    let unlisten = (): void => undefined;
    const lost = new Promise<never>((_, reject) => {
      unlisten = this.onState(({ connected }) => {
        if (!connected) reject(new LogUnavailableError('The connection to NATS was lost before it answered'));
      });
    });
    try {
      return await Promise.race([question(), lost]);
    } finally {
      unlisten();
    }
  }

  /**
   * As `ask`, for a question that changes nothing: it is asked again while no answer comes. A server drops what a stream is asked that has
   * no leader yet, and takes along what it had not answered when it ended.
   */
  inquire<T>(question: () => Promise<T>): Promise<T> {
    const pauseMs = this.settings.requestTimeoutMs / QUESTIONS;
    return this.ask(
      () =>
        new Promise<T>((resolve, reject) => {
          let again: Scheduled | undefined;
          let left = QUESTIONS;
          const settle = (how: () => void): void => {
            left = 0;
            again?.cancel();
            how();
          };
          const send = (): void => {
            if (!this.isReady) return;
            left -= 1;
            if (left > 0) again = this.deps.clock.schedule(pauseMs, send);
            question().then(
              (answer) => settle(() => resolve(answer)),
              (error: unknown) =>
                settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
            );
          };
          send();
        }),
    );
  }

  async close(): Promise<void> {
    this.isEnding = true;
    this.lose('closed');
    await this.current.close();
  }

  /** Follows what the client tells of its connection, until it is closed for good. */
  private async watch(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') this.lose(`the connection to ${status.server} was lost`);
      else if (status.type === 'reconnect') this.open();
      else if (status.type === 'error')
        this.deps.onWarning?.(
          `NATS reports an error: ${messageOf(status.error)}. Check the permissions and limits of the account.`,
        );
    }
    if (this.isEnding) return;
    // Not by this client's settings; whatever closed it, the log is to come back.
    this.lose('the client of NATS closed the connection');
    await this.replace();
  }

  /** Makes another client, for as long as it takes. */
  private async replace(): Promise<void> {
    while (!this.isEnding) {
      try {
        const nc = await connectOnce(this.driver, this.settings);
        this.api = await apiOf(this.driver, this.settings, nc);
        this.current = nc;
        if (this.isEnding) return await nc.close();
        this.open();
        return await this.watch(nc);
      } catch {
        const pauseMs = RECONNECT_MS + this.deps.entropy.random() * RECONNECT_JITTER_MS;
        await new Promise<void>((resolve) => void this.deps.clock.schedule(pauseMs, resolve));
      }
    }
  }
}

function connectOnce(driver: NatsDriver, settings: NatsLogSettings): Promise<NatsConnection> {
  const { user, password, token, credentials } = settings.auth;
  const text = (): Uint8Array =>
    new TextEncoder().encode(typeof credentials === 'function' ? credentials() : credentials);
  return driver.connect({
    servers: [...settings.servers],
    name: settings.name,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(token !== undefined && { token }),
    // Asked again for each connect: a JWT that was renewed is read then.
    ...(credentials !== undefined && {
      authenticator: (nonce?: string) => driver.credsAuthenticator(text())(nonce),
    }),
    ...(settings.tls !== undefined && { tls: settings.tls }),
    timeout: settings.connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    // Credentials that are refused for a while, such as those of an account that is being changed, close it otherwise.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_MS,
    maxPingOut: MAX_PINGS,
    noAsyncTraces: true,
  });
}

async function apiOf(
  driver: NatsDriver,
  settings: NatsLogSettings,
  nc: NatsConnection,
): Promise<{ js: JetStreamClient; jsm: JetStreamManager }> {
  const { domain, requestTimeoutMs: timeout } = settings;
  const options = { timeout, ...(domain !== undefined && { domain }) };
  const jsm = await driver.jetstreamManager(nc, { ...options, checkAPI: false });
  return { js: driver.jetstream(nc, options), jsm };
}

function setupError(settings: NatsLogSettings, error: unknown): LogSetupError {
  const message = messageOf(error);
  const isRefused = /authoriz|authentic|credential|nkey|jwt/i.test(`${(error as Error).name} ${message}`);
  const remedy = isRefused
    ? 'Check `user` and `password`, `token`, or `credentials`.'
    : 'Check `servers` and `tls`, and that the server runs.';
  return new LogSetupError(
    `natsBroker: cannot connect to ${settings.servers.join(', ')}: ${message}. ${remedy}`,
    {
      cause: error,
    },
  );
}
