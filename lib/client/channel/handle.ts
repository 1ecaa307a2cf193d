import type { HistoryResult, PublishResult, SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { attempt } from '../deferred.js';
import type { Off } from '../emitter.js';
import { readHistory } from './messages.js';
import type { ChannelHost } from './host.js';
import { ChannelPresence } from './presence.js';
import type {
  ChannelEvent,
  ChannelHappening,
  ChannelHappenings,
  ChannelSignal,
  ChannelState,
  HistoryOptions,
  PublishOptions,
  SubscribeOptions,
} from './types.js';
import type { Subscription } from './subscription.js';

type EventListener<Payload> = (payload: Payload, event: ChannelEvent<Payload>) => unknown;
type SignalListener<Payload> = (payload: Payload, signal: ChannelSignal<Payload>) => unknown;

/**
 * One channel, as `client.channel(name)` gives it: the same object for the same name.
 *
 * Handlers are given each event once and in order, through reconnects, or are told the exact range that is missing
 * (G2, G3). One that throws has still been given its event; what it threw comes out at `client.on('error')`.
 *
 * @example
 * const room = client.channel('rooms.42');
 * room.on<Message>('message.created', (message) => render(message));
 * room.on('snapshot', (state) => load(state));
 * await room.subscribe();
 */
export class ChannelHandle {
  /** Who is in the channel. */
  readonly presence: ChannelPresence;

  constructor(
    private readonly subscription: Subscription,
    private readonly host: ChannelHost,
  ) {
    this.presence = new ChannelPresence(subscription, host);
  }

  /** The channel's name. */
  get name(): string {
    return this.subscription.channel;
  }

  /** Where the subscription stands. */
  get state(): ChannelState {
    return this.subscription.state;
  }

  /**
   * Everything up to here was given to the handlers, or announced as missing (P14); inside a handler it is the place
   * of the handler's own event. Store it to continue after a page reload: `subscribe({ position })`. `undefined`
   * before the first answer.
   */
  get position(): Position | undefined {
    return this.subscription.cursor.position;
  }

  /**
   * Listens. A reserved name ({@link ChannelHappenings}: `snapshot`, `gap`, `lost`, `reset`, `subscribed`, `resumed`,
   * `unsubscribed`, `state`, `signal`) is something that the library tells; `*` is every application event; any
   * other is the application event of that name. For an application event that has a reserved name use `onEvent`.
   *
   * @returns Takes the listener off again.
   */
  on<Name extends ChannelHappening>(name: Name, listener: (...args: ChannelHappenings[Name]) => unknown): Off;
  /**
   * Listens to one application event, or to all with `*`.
   *
   * @returns Takes the listener off again.
   */
  on<Payload = unknown>(name: string, listener: EventListener<Payload>): Off;
  on(name: string, listener: (...args: never[]) => unknown): Off {
    return this.subscription.listeners.on(name, listener);
  }

  /** Takes a listener off, whichever of `on`, `onEvent` and `onSignal` put it there. */
  off(name: string, listener: (...args: never[]) => unknown): void {
    this.subscription.listeners.off(name, listener);
  }

  /**
   * Listens to an application event, whatever its name; `*` is every one.
   *
   * @example
   * room.onEvent('gap', (payload) => …); // the application's own event "gap"
   */
  onEvent<Payload = unknown>(name: string, listener: EventListener<Payload>): Off {
    return this.subscription.listeners.onEvent(name, listener);
  }

  /**
   * Listens to a signal, whatever its name; `*` is every one.
   *
   * @example
   * room.onSignal('typing', (_, signal) => showTyping(signal.user));
   */
  onSignal<Payload = unknown>(name: string, listener: SignalListener<Payload>): Off {
    return this.subscription.listeners.onSignal(name, listener);
  }

  /**
   * Subscribes, and stays subscribed through reconnects: each continues from the own position (P13). Opens the client
   * if nothing did before. A second call waits for, or returns, the answer of the subscription that is there, with
   * its options; to change them, unsubscribe first.
   *
   * @returns The answer (P11). Errors that time can heal are retried and keep the promise waiting.
   * @throws RealtimeError `forbidden`, `unknown_channel`, `too_many_channels` and whatever else is final;
   * `not_subscribed` when `unsubscribe` is called meanwhile; the close code's error when the client stops.
   * @example
   * const { recovery } = await room.subscribe({ position: stored });
   * if (recovery === 'lost') await reloadEverything();
   */
  subscribe(options: SubscribeOptions = {}): Promise<SubscribeResult> {
    return attempt(() => this.subscription.subscribe(options));
  }

  /** Ends the subscription; nothing of it is delivered any more. Idempotent. Resolves when the server knows. */
  unsubscribe(): Promise<void> {
    return this.subscription.unsubscribe();
  }

  /**
   * Publishes an event. It survives reconnects: sent again under its id until it is acknowledged, applied once
   * (G4), in the order of the calls on this channel (P16). No subscription is needed.
   *
   * @returns Resolves once the event is in the log.
   * @throws RealtimeError `forbidden`, `validation_failed`, `message_too_large`, `conflict` …: refused.
   * `outcome_unknown`: it was sent and is older than the server's dedupe window; read before publishing it anew.
   * `timeout`: it was never sent (`publishTimeoutMs`, `ttl`). `rate_limited`: too much already waits.
   * @example
   * const { seq } = await room.publish('message.created', { text: 'Hello' });
   */
  publish(event: string, payload?: unknown, options: PublishOptions = {}): Promise<PublishResult> {
    const { id = this.host.ids(), key, ttl } = options;
    return attempt(() => {
      this.host.ensureStarted();
      return this.host.publishes.publish({
        channel: this.name,
        event,
        payload,
        id,
        ...(key === undefined ? {} : { key }),
        ...(ttl === undefined ? {} : { ttl }),
      });
    });
  }

  /**
   * Sends a signal: to those who are there now, never stored, never sent again.
   *
   * @returns Whether there was a connection to take it; an old "typing" is worth nothing, so it waits for none.
   * @throws RealtimeError when the server refuses it.
   * @example
   * await room.signal('typing');
   */
  async signal(event: string, payload?: unknown): Promise<boolean> {
    this.host.ensureStarted();
    if (!this.host.isLive()) return false;
    try {
      await this.host.commands.request({ type: 'signal', channel: this.name, event, payload, now: true });
      return true;
    } catch (error) {
      if (error instanceof RealtimeError && error.code === 'outcome_unknown') return false;
      throw error;
    }
  }

  /**
   * Calls a request handler of the channel. Sent once the channel is subscribed, if it is being subscribed; never
   * sent twice (P17).
   *
   * @param options.timeoutMs Longest wait for the answer. Default the client's `requestTimeoutMs`.
   * @returns What the handler returned.
   * @throws RealtimeError whatever the handler answered; `timeout`: never sent; `outcome_unknown`: sent, and the answer
   * did not come.
   * @example
   * const { title } = await room.request<{ title: string }>('rename', { title: 'Tea' });
   */
  request<Result = unknown>(
    event: string,
    payload?: unknown,
    options: { timeoutMs?: number } = {},
  ): Promise<Result> {
    return attempt(() => {
      this.host.ensureStarted();
      return this.host.commands.request({
        type: 'request',
        channel: this.name,
        event,
        payload,
        ready: () => this.subscription.settled,
        ...options,
      }) as Promise<Result>;
    });
  }

  /**
   * Reads the log. Repeated by itself after a reconnect.
   *
   * @returns One page, and whether there is `more`.
   * @throws RealtimeError whatever the server answered; `timeout` when no answer came in time.
   * @example
   * room.on('gap', async ({ from, to, recoverable }) => {
   *   if (recoverable) fill(await room.history({ from, until: to }));
   * });
   */
  async history(options: HistoryOptions = {}): Promise<HistoryResult> {
    this.host.ensureStarted();
    const { from, until, limit, reverse } = options;
    const bounded = from !== undefined || until !== undefined;
    const epoch = options.epoch ?? (bounded ? this.position?.epoch : undefined);
    const payload = {
      ...(epoch === undefined ? {} : { epoch }),
      ...(from === undefined ? {} : { from }),
      ...(until === undefined ? {} : { until }),
      ...(limit === undefined ? {} : { limit }),
      ...(reverse === undefined ? {} : { reverse }),
    };
    const ready = (): boolean => this.subscription.settled;
    const answer = await this.host.commands.request({
      type: 'history',
      channel: this.name,
      payload,
      again: true,
      ready,
    });
    const page = readHistory(answer);
    if (page === undefined)
      throw new RealtimeError('internal', 'The server’s answer to history cannot be read');
    return page;
  }
}
