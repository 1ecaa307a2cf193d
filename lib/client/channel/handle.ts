import type { HistoryOptions } from '../../protocol/commands.js';
import type { HistoryResult, PublishResult, SnapshotResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { CommandQueue } from '../command-queue.js';
import type { AnyListener, Off } from '../emitter.js';
import { attempt, ignoreRejection, type WaitOptions } from '../promises.js';
import type { PublishQueue } from '../publish-queue.js';
import { eventStream, type EventsOptions } from './event-stream.js';
import { readHistory } from './messages.js';
import { ChannelPresence } from './presence.js';
import { SignalThrottle } from './signal-throttle.js';
import type {
  ChannelEvent,
  ChannelEventMap,
  ChannelSignal,
  ChannelState,
  ChannelSubscribeOptions,
  ChannelSubscription,
  LibraryEvent,
  PublishOptions,
} from './types.js';
import type { ClientSubscription, ClientSubscriptionDeps } from './subscription.js';

type EventListener<Payload> = (payload: Payload, event: ChannelEvent<Payload>) => unknown;
type SignalListener<Payload> = (payload: Payload, signal: ChannelSignal<Payload>) => unknown;

/** The payloads of a channel whose names nobody declared. */
export type Untyped = Record<string, unknown>;
/** Names that the application declared; with {@link Untyped} any. */
type NameOf<Map> = keyof Map & string;
/** Any name, where none was declared: then the payload's type may be given at the call. */
type FreeName<Map> = string extends keyof Map ? string : never;

/** How to send a signal. */
export interface SignalOptions extends WaitOptions {
  /**
   * Of the signals of this name that are sent within so many milliseconds, the first is sent at once and the newest at the end; the
   * others resolve with `false`.
   */
  readonly throttleMs?: number;
}

/** What a {@link ChannelHandle} needs. */
export interface ChannelHandleDeps extends Pick<ClientSubscriptionDeps, 'ensureStarted' | 'clock'> {
  readonly ids: () => string;
  readonly trace?: (() => string | undefined) | undefined;
  readonly commands: CommandQueue;
  readonly publishes: Pick<PublishQueue, 'publish'>;
  /** The subscription of a channel that is in use, or else the given one. */
  readonly current: (own: ClientSubscription) => ClientSubscription;
}

/**
 * One channel, as `client.channel(name)` gives it: the same object for the same name.
 *
 * Listeners get each event once and in order, through reconnects, or the exact range that is missing (G2). An event
 * whose listener throws counts as delivered; `client.on('error')` gets what it threw.
 *
 * @example
 * const room = client.channel('rooms.42');
 * room.on<Message>('message.created', (message) => render(message));
 * room.on('snapshot', (state) => load(state));
 * await room.subscribe();
 */
export class ChannelHandle<Events extends object = Untyped, Signals extends object = Untyped> {
  /** Who is in the channel. */
  readonly presence: ChannelPresence;
  private readonly throttle: SignalThrottle;

  constructor(
    private readonly own: ClientSubscription,
    private readonly deps: ChannelHandleDeps,
  ) {
    this.presence = new ChannelPresence(() => this.subscription, deps.commands);
    this.throttle = new SignalThrottle(deps.clock);
  }

  /** The channel's name. */
  get name(): string {
    return this.own.channel;
  }

  /** The state of the subscription. */
  get state(): ChannelState {
    return this.subscription.state;
  }

  /**
   * Everything up to here was delivered, or announced as missing (P14); inside a listener it is the position of the
   * listener's own event. Store it to continue after a page reload: `subscribe({ position })`. `undefined` before the
   * first answer.
   */
  get position(): Position | undefined {
    return this.subscription.cursor.position;
  }

  /**
   * Adds a listener. A reserved name ({@link ChannelEventMap}: `snapshot`, `gap`, `lost`, `reset`, `subscribed`, `resumed`,
   * `unsubscribed`, `state`, `signal`) is an event of the library; `*` is every application event; any other name is
   * the application event of that name. For an application event that has a reserved name use `onEvent`.
   *
   * @returns Removes the listener.
   * @example
   * room.on('gap', ({ from, to }) => reload(from, to));
   */
  on<Name extends LibraryEvent>(name: Name, listener: (...args: ChannelEventMap[Name]) => unknown): Off;
  /**
   * Adds a listener to one application event, or to all with `*`.
   *
   * @returns Removes the listener.
   * @example
   * room.on<Message>('message.created', (message, { user }) => render(message, user));
   */
  on<Payload = unknown>(name: FreeName<Events>, listener: EventListener<Payload>): Off;
  /** To an event that was declared: the payload has its type. */
  on<Name extends NameOf<Events>>(name: Name, listener: EventListener<Events[Name]>): Off;
  /** Of every application event. */
  on(name: '*', listener: EventListener<Events[keyof Events]>): Off;
  on(name: string, listener: AnyListener): Off {
    return this.subscription.listeners.on(name, listener);
  }

  /**
   * Like `on`, for one call.
   *
   * @returns Removes the listener.
   */
  once<Name extends LibraryEvent>(name: Name, listener: (...args: ChannelEventMap[Name]) => unknown): Off;
  /** Of an event that was not declared; its payload's type may be given here. */
  once<Payload = unknown>(name: FreeName<Events>, listener: EventListener<Payload>): Off;
  /** Of a declared event: the payload has its type. */
  once<Name extends NameOf<Events>>(name: Name, listener: EventListener<Events[Name]>): Off;
  /** Of every application event. */
  once(name: '*', listener: EventListener<Events[keyof Events]>): Off;
  once(name: string, listener: AnyListener): Off {
    return this.subscription.listeners.on(name, listener, true);
  }

  /** Removes a listener that `on`, `once`, `onEvent` or `onSignal` added; without one, all that they added to the name. */
  off(name: string, listener?: (...args: never[]) => unknown): void {
    this.subscription.listeners.off(name, listener, ['library', 'event', 'signal']);
  }

  /**
   * Adds a listener to an application event of any name, also a reserved one; `*` is every event.
   *
   * @returns Removes the listener.
   * @example
   * room.onEvent('gap', (payload) => …); // the application's own event "gap"
   */
  onEvent<Payload = unknown>(name: FreeName<Events>, listener: EventListener<Payload>): Off;
  /** Of a declared name: the payload has its type. */
  onEvent<Name extends NameOf<Events>>(name: Name, listener: EventListener<Events[Name]>): Off;
  /** Of every application event. */
  onEvent(name: '*', listener: EventListener<Events[keyof Events]>): Off;
  onEvent(name: string, listener: AnyListener): Off {
    return this.subscription.listeners.add('event', name, listener);
  }

  /**
   * Adds a listener to a signal of any name; `*` is every signal.
   *
   * @returns Removes the listener.
   * @example
   * room.onSignal('typing', (_, signal) => showTyping(signal.user));
   */
  onSignal<Payload = unknown>(name: FreeName<Signals>, listener: SignalListener<Payload>): Off;
  /** Of a declared name: the payload has its type. */
  onSignal<Name extends NameOf<Signals>>(name: Name, listener: SignalListener<Signals[Name]>): Off;
  /** Of every signal. */
  onSignal(name: '*', listener: SignalListener<Signals[keyof Signals]>): Off;
  onSignal(name: string, listener: AnyListener): Off {
    return this.subscription.listeners.add('signal', name, listener);
  }

  /**
   * The events of the channel, for a loop: each once and in order. The channel is subscribed while the loop runs, which is until it
   * is left, `signal` is aborted, or the subscription ends; for that it is thrown why, unless the application wanted it. Gaps are
   * told to the listeners of `gap` and `recovered` only.
   *
   * @throws RealtimeError as `subscribe`; `rate_limited` when more than `maxBuffered` events wait because the loop is too slow.
   * @example
   * for await (const { event, payload } of room.events({ signal })) apply(event, payload);
   */
  events(options: EventsOptions = {}): AsyncGenerator<ChannelEvent<Events[keyof Events]>, void, undefined> {
    return eventStream<Events[keyof Events]>(
      {
        name: this.name,
        on: (name, listener) => this.subscription.listeners.on(name, listener),
        onEvent: (name, listener) => this.subscription.listeners.add('event', name, listener),
        subscribe: (how) => this.subscribe(how),
      },
      options,
    );
  }

  /**
   * Subscribes, and stays subscribed through reconnects: each continues from the own position (P13). Opens the client
   * if it is not open yet. Whoever calls it has a share: the channel is unsubscribed when the last is released, with
   * `release()` or by its `signal`. To whom comes later the state is given as it is now; `params` and `presence` are those
   * of the first. The code that awaits runs before the first event is handed out.
   *
   * @returns The answer (P11). After a temporary error the client retries, says so with `unsubscribed`, and the promise
   * keeps waiting.
   * @throws RealtimeError `forbidden`, `unknown_channel`, `too_many_channels` or another final refusal; `bad_request` for a
   * position that is none; `timeout` after `timeoutMs`; `not_subscribed` when `unsubscribe` is called before the answer; the
   * close code's error when the client stops. The reason of `signal` when that is aborted.
   * @example
   * const { snapshot, release } = await room.subscribe();
   * @example
   * void room.subscribe({ signal }); // in an effect of a component, whose end aborts the signal
   */
  subscribe(options: ChannelSubscribeOptions = {}): Promise<ChannelSubscription> {
    return attempt(() => this.subscription.subscribe(options), options.signal);
  }

  /**
   * Asks for the channel's state as it is now. It has every event that the listeners were given before the answer, and every other
   * one follows.
   *
   * @returns The state, absent where the channel has none, and the position that it stands at.
   * @throws RealtimeError `not_subscribed`: subscribe first. What the server's handler threw. `timeout` after `timeoutMs`.
   * @example
   * const { snapshot } = await room.snapshot();
   */
  snapshot(options: WaitOptions = {}): Promise<SnapshotResult> {
    return attempt(() => this.subscription.snapshot(options), options.signal);
  }

  /**
   * Ends the subscription for all who share it, and tells them with `unsubscribed`: nothing of it is delivered any more.
   * Idempotent. To give back only the own share, use `release()` or `signal`. Resolves when the server answered.
   */
  unsubscribe(): Promise<void> {
    return this.subscription.unsubscribe();
  }

  /**
   * Publishes an event. It survives reconnects: it is sent again with the same id until it is acknowledged, is applied
   * once (G4), and keeps the order of the calls on this channel. It needs no subscription.
   *
   * @returns Resolves once the event is in the log.
   * @throws RealtimeError `forbidden`, `validation_failed`, `message_too_large`, `conflict` …: refused.
   * `outcome_unknown`: it was sent and is older than the server's dedupe window; read before publishing it again.
   * `timeout`: it was never sent (`publishTimeoutMs`, `ttl`). `rate_limited`: too much already waits.
   * @example
   * const { seq } = await room.publish('message.created', { text: 'Hello' });
   */
  publish<Name extends NameOf<Events>>(
    event: Name,
    payload?: Events[Name],
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    const { id = this.deps.ids(), key, ttl, timeoutMs, signal } = options;
    return attempt(() => {
      this.deps.ensureStarted();
      const trace = this.deps.trace?.();
      const input = { channel: this.name, event, payload, id, key, ttl, trace, timeoutMs };
      return this.deps.publishes.publish(input, signal);
    }, signal);
  }

  /**
   * Sends a signal to those who are subscribed now. It is never stored and never sent again.
   *
   * @returns `false` when there was no connection, or a newer one replaced it (`throttleMs`): an old "typing" is worth nothing, so a
   * signal waits for none. A rejection that nobody handles is not reported.
   * @throws RealtimeError when the server refuses it.
   * @example
   * void room.signal('typing', undefined, { throttleMs: 2_000 });
   */
  signal<Name extends NameOf<Signals>>(
    event: Name,
    payload?: Signals[Name],
    options: SignalOptions = {},
  ): Promise<boolean> {
    const { throttleMs, ...wait } = options;
    const send = (): Promise<boolean> => this.sendSignal(event, payload, wait);
    const sent = throttleMs === undefined ? send() : this.throttle.run(event, throttleMs, send);
    ignoreRejection(sent);
    return sent;
  }

  /**
   * Calls a request handler of the channel. While the channel is being subscribed, the request waits for that; it is
   * never sent twice (P17).
   *
   * @param options `signal`, and `timeoutMs` (default the client's `requestTimeoutMs`).
   * @returns What the handler returned.
   * @throws RealtimeError any error of the handler; `timeout`: never sent; `outcome_unknown`: sent, and the answer
   * did not come.
   * @example
   * const { title } = await room.request<{ title: string }>('rename', { title: 'Tea' });
   */
  request<Result = unknown>(event: string, payload?: unknown, options: WaitOptions = {}): Promise<Result> {
    const { signal, timeoutMs } = options;
    return attempt(() => {
      this.deps.ensureStarted();
      const spec = { type: 'request', event, payload, timeoutMs, ...this.onceSettled } as const;
      return this.deps.commands.request(spec, signal, (answer) => answer as Result);
    }, signal);
  }

  /**
   * Reads the log. A read that a reconnect interrupts is repeated.
   *
   * @returns One page, and whether there is `more`.
   * @throws RealtimeError any error of the server; `timeout` when no answer came in time.
   * @example
   * room.on('gap', async ({ from, to, recoverable }) => {
   *   if (recoverable) fill(await room.history({ from, until: to }));
   * });
   */
  history(options: HistoryOptions & WaitOptions = {}): Promise<HistoryResult> {
    const { from, until, limit, reverse, signal, timeoutMs } = options;
    return attempt(() => {
      this.deps.ensureStarted();
      const bounded = from !== undefined || until !== undefined;
      const epoch = options.epoch ?? (bounded ? this.position?.epoch : undefined);
      const payload = omitUndefined({ epoch, from, until, limit, reverse });
      const spec = { type: 'history', payload, idempotent: true, timeoutMs, ...this.onceSettled } as const;
      return this.deps.commands.request(spec, signal, requireHistory);
    }, signal);
  }

  /** That of the channel, also where another handle of the name was used first. */
  private get subscription(): ClientSubscription {
    return this.deps.current(this.own);
  }

  /** A command of this channel waits while the channel is being subscribed. */
  private get onceSettled(): { channel: string; ready: () => boolean } {
    return { channel: this.name, ready: () => this.subscription.settled };
  }

  private async sendSignal(
    event: string,
    payload: unknown,
    { signal, timeoutMs }: WaitOptions,
  ): Promise<boolean> {
    const { commands, ensureStarted } = this.deps;
    ensureStarted();
    if (!commands.isLive()) return false;
    const spec = { type: 'signal', channel: this.name, event, payload, timeoutMs, immediate: true } as const;
    try {
      return await attempt(() => commands.request(spec, signal, () => true), signal);
    } catch (error) {
      if (error instanceof RealtimeError && error.code === 'outcome_unknown') return false;
      throw error;
    }
  }
}

function requireHistory(answer: unknown): HistoryResult {
  const page = readHistory(answer);
  if (page !== undefined) return page;
  throw new RealtimeError('internal', 'The answer to history cannot be read');
}
