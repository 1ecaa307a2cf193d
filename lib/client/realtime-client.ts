import { userChannel } from '../protocol/channel-name.js';
import type { RetryPolicy } from '../protocol/messages.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { DEFAULT_RETRY } from './backoff.js';
import type { ChannelHandle } from './channel/handle.js';
import { ChannelRegistry } from './channel/registry.js';
import { settingsOf, type RealtimeClientOptions } from './options.js';
import type { ClientState, ClientStatus, ErrorContext } from './state.js';
import { Connector } from './connection/connector.js';
import type { Welcome } from './connection/welcome.js';
import type { EarlyWire, Wire } from './connection/wire.js';
import { attempt } from './deferred.js';
import { Emitter, type Listener, type Off } from './emitter.js';
import { endpointsOf } from './endpoints.js';
import { route, type Recipients } from './message-router.js';
import { Pacer } from './pacer.js';
import { PublishQueue } from './publish-queue.js';
import { CommandQueue } from './command-queue.js';
import { TokenSource } from './token.js';
import { TokenRefresher } from './token-refresher.js';
import { webSocketTransport } from './transport/websocket.js';
import { webSocketClass } from './transport/websocket-types.js';

/** What a client tells, by name. */
export type ClientHappenings = {
  /** Each change of the connection's state. */
  state: [status: ClientStatus];
  /** What nobody awaits: a listener that threw, a token provider that failed, an error without a command. */
  error: [error: unknown, context: ErrorContext];
};

/**
 * One connection to a `nestjs-realtime` server, for all channels of a page or process. It opens with the first use,
 * comes back by itself, and resumes every channel where it stood.
 *
 * @example
 * const client = new RealtimeClient('https://example.com/realtime', { token: () => fetchShortLivedToken() });
 * const room = client.channel('rooms.42');
 * room.on('message.created', (payload) => render(payload));
 * await room.subscribe();
 */
export class RealtimeClient {
  private readonly listeners: Emitter<ClientHappenings>;
  private readonly connector: Connector;
  private readonly channels: ChannelRegistry;
  private readonly commands: CommandQueue;
  private readonly publishes: PublishQueue;
  private readonly refresher: TokenRefresher;
  private readonly pacer: Pacer;
  private readonly recipients: Recipients;
  private wire: Wire | undefined;
  /** There between `hello` and `welcome`. */
  private early: EarlyWire | undefined;
  private retry: RetryPolicy = DEFAULT_RETRY;
  private welcome: Welcome | undefined;

  /**
   * Opens nothing yet.
   *
   * @param url The server's realtime path, `http(s)` or `ws(s)`; in a page it may be relative, e.g. `/realtime`.
   * @throws TypeError for what is no such URL, and on a platform without a WebSocket class.
   * @throws RangeError for an option that is out of its range.
   */
  constructor(url: string, options: RealtimeClientOptions = {}) {
    const settings = settingsOf(options);
    const { clock, random, ids, codec } = settings;
    const endpoints = endpointsOf(url);
    const transport = webSocketTransport(
      webSocketClass(options.webSocket),
      endpoints.socket,
      options.webSocketOptions,
    );
    const tokens =
      options.token === undefined
        ? undefined
        : new TokenSource(options.token, clock, settings.connectTimeoutMs);
    const wire = (): Wire | undefined => this.wire;
    const retry = (): RetryPolicy => this.retry;
    const report = (error: unknown, context: ErrorContext): void => this.report(error, context);

    this.listeners = new Emitter<ClientHappenings>((error, event) => {
      if (event === 'error') rethrowLater(error);
      else report(error, { source: 'handler', event });
    });
    this.pacer = new Pacer(clock);
    this.commands = new CommandQueue({
      clock,
      ids,
      wire,
      early: () => this.early,
      pacer: this.pacer,
      max: settings.maxPendingCommands,
      timeoutMs: settings.requestTimeoutMs,
    });
    this.publishes = new PublishQueue({
      clock,
      random,
      codec,
      wire,
      retry,
      pacer: this.pacer,
      maxEntries: settings.maxQueuedPublishes,
      maxBytes: settings.maxQueuedBytes,
      timeoutMs: settings.publishTimeoutMs,
    });
    this.channels = new ChannelRegistry({
      clock,
      random,
      ids,
      retry,
      report,
      commands: this.commands,
      publishes: this.publishes,
      maxHeldEvents: settings.maxHeldEvents,
      maxPresenceMembers: settings.maxPresenceMembers,
      isLive: () => this.wire?.accepting === true,
      isJoinable: () => this.wire?.accepting === true || this.early !== undefined,
      ensureStarted: () => this.connector.ensureStarted(),
    });
    this.refresher = new TokenRefresher(tokens, this.commands, clock, random, (error) =>
      report(error, { source: 'token' }),
    );
    this.recipients = {
      commands: this.commands,
      publishes: this.publishes,
      channels: this.channels,
      refresher: this.refresher,
      report,
    };
    this.connector = new Connector(settings, tokens, transport, endpoints.http, {
      greeting: (early) => this.onGreeting(early),
      live: (welcome, live) => this.onLive(welcome, live),
      message: (envelope) => route(envelope, this.recipients),
      lost: () => this.onLost(),
      stopped: (error, byUser) => this.onStopped(error, byUser),
      status: (status) => this.listeners.emit('state', status),
      error: (error, source) => report(error, { source }),
    });
  }

  /** `idle`, `connecting`, `live`, `waiting` or `closed`. */
  get state(): ClientState {
    return this.connector.status.state;
  }

  /** The state with what is known about it, as `on('state')` tells it. */
  get status(): ClientStatus {
    return this.connector.status;
  }

  /** The user as the server verified it; `undefined` before the first welcome and for an anonymous client. */
  get user(): string | undefined {
    return this.welcome?.user;
  }

  /**
   * The channel of the own user, to which the application publishes with `realtime.user(id)`.
   *
   * @throws RealtimeError `unauthorized` before the first welcome, and for an anonymous client: `await client.connect()`
   * first, with a token or cookie.
   * @example
   * await client.connect();
   * client.me.on('notice', (notice) => toast(notice));
   * await client.me.subscribe();
   */
  get me(): ChannelHandle {
    const { user } = this;
    if (user !== undefined) return this.channel(userChannel(user));
    throw new RealtimeError(
      'unauthorized',
      this.welcome === undefined
        ? 'Who the user is, is known once the client is live: await client.connect() before client.me'
        : 'An anonymous client has no channel of its own',
    );
  }

  /**
   * Opens the connection. Optional: the first `subscribe`, `publish`, `signal`, `request` or `history` does. Also opens a client that
   * was closed; channels that were subscribed when the server closed it then resume.
   *
   * @returns Resolves when live, however many attempts that takes.
   * @throws RealtimeError when the client stops: the server's refusal (protocol §7), or `close()`.
   */
  connect(): Promise<void> {
    return this.connector.connect();
  }

  /**
   * Ends a wait for the next attempt at once, e.g. for a "Retry now" button or the browser's `online` event; in any other
   * state it does nothing. Not for code that runs on many clients at one moment: the wait is what spreads them (P19).
   *
   * @example window.addEventListener('online', () => client.retryNow());
   */
  retryNow(): void {
    this.connector.retryNow();
  }

  /**
   * Leaves on purpose: `bye`, then close 1000. Subscriptions end, whatever waits fails, presence ends at once.
   *
   * @returns Resolves when the connection has closed, or after two seconds.
   */
  close(): Promise<void> {
    return this.connector.close();
  }

  /**
   * The handle of a channel: the same object for the same name.
   *
   * @throws RangeError for what is no channel name (P23).
   */
  channel(name: string): ChannelHandle {
    return this.channels.get(name);
  }

  /**
   * Calls a request handler that belongs to no channel.
   *
   * @param options.timeoutMs Longest wait for the answer. Default the client's `requestTimeoutMs`.
   * @throws RealtimeError as `room.request` does.
   * @example
   * const rooms = await client.request<Room[]>('rooms.list');
   */
  request<Result = unknown>(
    event: string,
    payload?: unknown,
    options: { timeoutMs?: number } = {},
  ): Promise<Result> {
    return attempt(() => {
      this.connector.ensureStarted();
      return this.commands.request({ type: 'request', event, payload, ...options }) as Promise<Result>;
    });
  }

  /**
   * Listens to the client itself. Without a listener for `error`, what a listener of the application throws is thrown
   * on, as an uncaught error; other errors show in the state.
   *
   * @returns Takes the listener off again.
   */
  on<Name extends keyof ClientHappenings>(name: Name, listener: Listener<ClientHappenings[Name]>): Off {
    return this.listeners.on(name, listener);
  }

  /** Takes a listener off. */
  off<Name extends keyof ClientHappenings>(name: Name, listener: Listener<ClientHappenings[Name]>): void {
    this.listeners.off(name, listener);
  }

  /** Subscribes do not wait for `welcome`: a round trip less until events flow again. */
  private onGreeting(early: EarlyWire): void {
    this.early = early;
    this.channels.join();
  }

  private onLive(welcome: Welcome, wire: Wire): void {
    const before = this.welcome;
    this.welcome = welcome;
    this.retry = welcome.retry;
    if (before !== undefined && before.user !== welcome.user) {
      // Whatever waits was another user's to say (P15).
      const error = new RealtimeError('unauthorized', 'The client is authenticated as another user now');
      this.publishes.stop(error, false);
      this.commands.disown(error);
    }
    this.early = undefined;
    this.wire = wire;
    this.pacer.adopt(welcome.limits.ratePerSecond);
    this.refresher.start(welcome.tokenExpiresInMs);
    this.commands.flushEarly();
    this.channels.join();
    this.publishes.resume(welcome.limits.dedupeMs);
    this.commands.flush();
  }

  private onLost(): void {
    this.wire = undefined;
    this.early = undefined;
    this.refresher.stop();
    this.channels.lost();
    this.publishes.interrupted();
    this.commands.interrupted();
  }

  private onStopped(error: RealtimeError, byUser: boolean): void {
    this.wire = undefined;
    this.early = undefined;
    this.refresher.stop();
    this.channels.stop(error, byUser);
    this.publishes.stop(error, byUser);
    this.commands.stop(error, byUser);
  }

  private report(error: unknown, context: ErrorContext): void {
    if (this.listeners.has('error')) this.listeners.emit('error', error, context);
    else if (context.source === 'handler') rethrowLater(error);
  }
}

/** As an `EventTarget` does: the loop goes on, the error is not lost. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
