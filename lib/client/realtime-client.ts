import { userChannel } from '../protocol/channel-name.js';
import type { Envelope } from '../protocol/envelope.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { DEFAULT_RETRY } from './backoff.js';
import type { ChannelHandle, Untyped } from './channel/handle.js';
import { ClientChannels } from './channel/channels.js';
import { createCommandQueue, type CommandQueue } from './command-queue.js';
import type { Wire } from './connection/connection.js';
import { createConnector, type Connector } from './connection/connector.js';
import type { HelloFrame } from './connection/frames.js';
import type { Welcome } from './connection/handshake.js';
import { Emitter, type Listener, type Off } from './emitter.js';
import { errorFromPayload } from './errors.js';
import { settingsOf, type RealtimeClientOptions } from './options.js';
import type { ClientLog } from './log.js';
import { Pacer } from './pacer.js';
import { attempt, type WaitOptions } from './promises.js';
import { createPublishQueue, type PublishQueue } from './publish-queue.js';
import type { ClientState, ClientStats, ClientStatus, Counts, ErrorContext } from './state.js';
import { TokenRefresher } from './token-refresher.js';
import { TokenSource } from './token.js';
import { endpointsOf, isAbsolute, webSocketOpener } from './transport/websocket.js';

/** The events of a client, with the arguments of their listeners. */
export type ClientEventMap = {
  /** Each change of the connection's state. */
  state: [status: ClientStatus];
  /** An error that no promise carries: a listener that threw, a token provider that failed, an error without a command. */
  error: [error: unknown, context: ErrorContext];
};

/**
 * One connection to a `nestjs-realtime` server, for all channels of a page or process. It opens with the first use,
 * reconnects by itself, and resumes every channel from its position.
 *
 * @example
 * const client = new RealtimeClient('https://example.com/realtime', { token: () => fetchShortLivedToken() });
 * const room = client.channel('rooms.42');
 * room.on('message.created', (payload) => render(payload));
 * await room.subscribe();
 */
export class RealtimeClient {
  private readonly listeners: Emitter<ClientEventMap>;
  private readonly connector: Connector;
  private readonly channels: ClientChannels;
  private readonly commands: CommandQueue;
  private readonly publishes: PublishQueue;
  private readonly refresher: TokenRefresher;
  private readonly pacer: Pacer;
  private readonly log: ClientLog;
  private readonly counts: Counts = { reconnects: 0, recovered: 0, lost: 0, received: 0, sent: 0 };
  private wire: Wire | undefined;
  /** Defined between `hello` and `welcome`. */
  private helloFrame: HelloFrame | undefined;
  /** The last one. */
  private welcome: Welcome | undefined;

  /**
   * Makes a client. It connects with the first use, not here, and touches nothing of the platform until then: a client may be
   * made at the top of a module that a server renders too.
   *
   * @param url The server's realtime path, `http(s)` or `ws(s)`; in a page it may be relative, e.g. `/realtime`.
   * @throws TypeError for a URL that cannot be used, and for an unknown option.
   * @throws RangeError for an option that is out of its range.
   */
  constructor(url: string, options: RealtimeClientOptions = {}) {
    const settings = settingsOf(options);
    const { clock, random, connectTimeoutMs } = settings;
    if (isAbsolute(url)) endpointsOf(url);
    const tokens =
      options.token === undefined ? undefined : new TokenSource(options.token, clock, connectTimeoutMs);

    this.log = settings.log;
    this.listeners = new Emitter<ClientEventMap>((error, event) => {
      if (event === 'error') rethrowLater(error);
      else this.report(error, { source: 'handler', event });
    });
    this.pacer = new Pacer(clock);
    const deps = {
      ...settings,
      counts: this.counts,
      report: this.report,
      pacer: this.pacer,
      wire: () => this.wire,
      helloFrame: () => this.helloFrame,
      retry: () => this.welcome?.retry ?? DEFAULT_RETRY,
      ensureStarted: () => this.connector.ensureStarted(),
    };
    this.commands = createCommandQueue(deps);
    this.publishes = createPublishQueue(deps);
    this.channels = new ClientChannels({ ...deps, commands: this.commands, publishes: this.publishes });
    this.refresher = new TokenRefresher(tokens, this.commands, clock, random, (error) =>
      this.report(error, { source: 'token' }),
    );
    const open = webSocketOpener(settings);
    const ladder = settings.fallback?.({
      ...settings,
      open,
      token: () => tokens?.take(),
      retryNow: () => this.retryNow(),
      report: (message) => this.report(new RealtimeError('unavailable', message), { source: 'connection' }),
    });
    this.connector = createConnector(
      { ...deps, tokens, transport: 'websocket', open, ladder, endpoints: () => endpointsOf(url) },
      {
        greeting: (frame) => this.onGreeting(frame),
        live: (welcome, wire, token) => this.onLive(welcome, wire, token),
        message: (envelope) => this.onMessage(envelope),
        lost: () => this.onLost(),
        stopped: (error, byUser) => this.onStopped(error, byUser),
        status: (status) => this.listeners.emit('state', status),
        error: (error, source) => this.report(error, { source }),
      },
    );
  }

  /** `idle`, `connecting`, `live`, `waiting` or `closed`. */
  get state(): ClientState {
    return this.connector.status.state;
  }

  /** The state and what is known about it, as listeners of `state` get it. */
  get status(): ClientStatus {
    return this.connector.status;
  }

  /**
   * What the client did since it was made.
   *
   * @example setInterval(() => report(client.stats()), 60_000);
   */
  stats(): ClientStats {
    return { ...this.counts, roundTripMs: this.connector.roundTripMs };
  }

  /** The user as the server verified it; `undefined` before the first welcome, after `close()`, and for an anonymous client. */
  get user(): string | undefined {
    return this.welcome?.user;
  }

  /**
   * The channel of the own user, to which the application publishes with `realtime.user(id)`. Only the server knows who that
   * is, so this is a promise; asking opens the client if it is not open yet.
   *
   * @returns Rejects with `unauthorized` for an anonymous client, and as `subscribe` does when the client is or gets closed.
   * @example
   * const me = await client.me;
   * me.on('notice', (notice) => toast(notice));
   * await me.subscribe();
   */
  get me(): Promise<ChannelHandle> {
    const found = this.findMe();
    // Only looking is no reason for an unhandled rejection.
    found.catch(() => undefined);
    return found;
  }

  private async findMe(): Promise<ChannelHandle> {
    if (this.user === undefined) {
      this.connector.ensureStarted();
      await this.connector.connect();
    }
    if (this.user !== undefined) return this.channel(userChannel(this.user));
    throw new RealtimeError(
      'unauthorized',
      'An anonymous client has no channel: connect with a token or cookie',
    );
  }

  /**
   * Asks the option `token` for a new token now, e.g. because the user's roles changed, and gives it to the server; without a
   * connection the next one is made with it. For another user: `await client.close()`, then `client.connect()`.
   *
   * @returns Resolves when the server has accepted it, or when there is no connection to give it to.
   * @throws RealtimeError `forbidden` for a token of another user, `unauthorized` for a bad one: the old one still stands.
   * `bad_request` without the option. What the option throws.
   * @example await client.refreshToken();
   */
  refreshToken(): Promise<void> {
    return this.refresher.renew();
  }

  /**
   * Opens the connection. Until then `state`, `status` and the option `log` tell what the client waits for. Optional, as the first `subscribe`, `publish`, `signal`, `request` or `history` opens it too.
   * Also opens a client that was closed; channels that were subscribed when the server closed it then resume.
   *
   * @returns Resolves when the client is live, however many attempts that takes.
   * @throws RealtimeError when the client stops: the server refused it (protocol §7), or `close()` was called.
   * @example
   * await client.connect();
   * console.log(client.user);
   */
  connect(): Promise<void> {
    return this.connector.connect();
  }

  /**
   * Ends a wait for the next attempt at once, e.g. for a "Retry now" button; in any other state it does nothing. The signals of
   * a page do so by themselves (option `network`). Not for code that runs on many clients at one moment: the wait is what spreads them (P19).
   *
   * @example button.addEventListener('click', () => client.retryNow());
   */
  retryNow(): void {
    this.connector.retryNow();
  }

  /**
   * Closes the client for good, until `connect()`: subscriptions end, waiting commands and publishes fail, and the user
   * leaves presence at once. The token, the session and the user are forgotten: call it when the user logs out, and
   * whoever logs in next is asked for a token.
   *
   * @returns Resolves when the connection has closed, or after two seconds.
   */
  close(): Promise<void> {
    return this.connector.close();
  }

  /**
   * The handle of a channel: the same object for the same name, while the channel is used and for a thousand that are not; two
   * of one name act as one. `Events` and `Signals` are the payloads by name; without
   * them every name is allowed, and payloads are `unknown`.
   *
   * @throws RangeError for what is no channel name (P23).
   * @example
   * const room = client.channel<{ said: { text: string } }>('rooms.42');
   */
  channel<Events extends object = Untyped, Signals extends object = Untyped>(
    name: string,
  ): ChannelHandle<Events, Signals> {
    return this.channels.get(name) as ChannelHandle<Events, Signals>;
  }

  /**
   * Calls a request handler that belongs to no channel.
   *
   * @param options `signal`, and `timeoutMs` (default the client's `requestTimeoutMs`).
   * @throws RealtimeError as `room.request` does.
   * @example
   * const rooms = await client.request<Room[]>('rooms.list');
   */
  request<Result = unknown>(event: string, payload?: unknown, options: WaitOptions = {}): Promise<Result> {
    const { signal, timeoutMs } = options;
    return attempt(() => {
      this.connector.ensureStarted();
      const spec = { type: 'request', event, payload, timeoutMs } as const;
      return this.commands.request(spec, signal, (answer) => answer as Result);
    }, signal);
  }

  /**
   * Adds a listener to the client itself. Without a listener for `error`, an error that a listener of the application
   * throws becomes an uncaught error; other errors show in the state.
   *
   * @returns Removes the listener.
   * @example
   * client.on('state', ({ state }) => showConnection(state));
   */
  on<Name extends keyof ClientEventMap>(name: Name, listener: Listener<ClientEventMap[Name]>): Off {
    return this.listeners.on(name, listener);
  }

  /**
   * Adds a listener that is called once.
   *
   * @returns Removes the listener.
   */
  once<Name extends keyof ClientEventMap>(name: Name, listener: Listener<ClientEventMap[Name]>): Off {
    return this.listeners.once(name, listener);
  }

  /** Removes a listener; without one, all of the name. */
  off<Name extends keyof ClientEventMap>(name: Name, listener?: Listener<ClientEventMap[Name]>): void {
    this.listeners.off(name, listener);
  }

  /** Subscribes do not wait for `welcome`: a round trip less until events come again. */
  private onGreeting(frame: HelloFrame): void {
    this.helloFrame = frame;
    this.joinAll();
  }

  private onLive(welcome: Welcome, wire: Wire, token: string | undefined): void {
    const before = this.welcome;
    this.welcome = welcome;
    if (before !== undefined) this.counts.reconnects++;
    if (before !== undefined && before.user !== welcome.user) {
      // What waits was the other user's (P15).
      const error = new RealtimeError('unauthorized', 'Another user is logged in now');
      this.publishes.stop(error, false);
      this.commands.disown(error);
    }
    this.helloFrame = undefined;
    this.wire = wire;
    this.pacer.adopt(welcome.limits.ratePerSecond);
    this.refresher.start(token, welcome.tokenExpiresInMs);
    this.commands.flush(true);
    this.joinAll();
    this.publishes.resume(welcome.limits.dedupeMs);
    this.commands.flush();
  }

  private joinAll(): void {
    for (const subscription of this.channels.all) subscription.join();
  }

  /** Types that a later version adds are ignored (P6). */
  private onMessage(message: Envelope): void {
    switch (message.type) {
      case 'reply':
      case 'pong':
        if (!this.publishes.answer(message)) this.commands.answer(message);
        return;
      case 'error':
        if (this.publishes.answer(message) || this.commands.answer(message)) return;
        // An answer to a command that was given up is ignored; an error that answers nothing is reported.
        if (message.ref === undefined) this.report(errorFromPayload(message.payload), { source: 'server' });
        return;
      case 'auth_required':
        this.refresher.demand(message.payload);
        return;
      default:
        if (message.channel !== undefined) this.channels.find(message.channel)?.receive(message);
    }
  }

  private onLost(): void {
    this.disconnected();
    for (const subscription of this.channels.all) subscription.lost();
    this.publishes.interrupted();
    this.commands.interrupted();
  }

  private onStopped(error: RealtimeError, byUser: boolean): void {
    this.disconnected();
    if (byUser) this.welcome = undefined;
    for (const subscription of this.channels.all) subscription.stop(error, byUser);
    this.publishes.stop(error, byUser);
    this.commands.stop(error, byUser);
  }

  private disconnected(): void {
    this.wire = undefined;
    this.helloFrame = undefined;
    this.refresher.stop();
  }

  private readonly report = (error: unknown, context: ErrorContext): void => {
    this.log('error', `${context.source}: ${String(error)}`, { error, ...context });
    if (this.listeners.has('error')) this.listeners.emit('error', error, context);
    else if (context.source === 'handler') rethrowLater(error);
  };
}

/** As an `EventTarget` does: the emission continues, and the error is not lost. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
