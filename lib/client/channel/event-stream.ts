import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AnyListener, Off } from '../emitter.js';
import type {
  ChannelEvent,
  ChannelSubscribeOptions,
  ChannelSubscription,
  ChannelUnsubscribed,
} from './types.js';

/** How to read the events of a channel in a loop. */
export interface EventsOptions extends ChannelSubscribeOptions {
  /** Events that wait while the loop is busy. With one more the loop ends with an error. Default 1 000. */
  readonly maxBuffered?: number;
}

/** What a {@link eventStream} reads. */
interface Source {
  readonly name: string;
  on(name: string, listener: AnyListener): Off;
  onEvent(name: string, listener: AnyListener): Off;
  subscribe(options: ChannelSubscribeOptions): Promise<ChannelSubscription>;
}

/** The events of a channel as an async iterable, with a share of its subscription for as long as the loop runs. */
export async function* eventStream<Payload>(
  room: Source,
  { maxBuffered = 1_000, ...options }: EventsOptions,
): AsyncGenerator<ChannelEvent<Payload>, void, undefined> {
  let buffered: ChannelEvent<Payload>[] = [];
  let end: { readonly error?: RealtimeError } | undefined;
  let wake = (): void => undefined;
  const stop = (error?: RealtimeError): void => {
    end ??= { error };
    wake();
  };
  const offs = [
    room.onEvent('*', (_: unknown, event: ChannelEvent<Payload>) => {
      if (end !== undefined) return;
      if (buffered.length < maxBuffered) buffered.push(event);
      else stop(tooSlow(room.name, maxBuffered));
      wake();
    }),
    room.on('unsubscribed', ({ willRetry, code, message, reason, data }: ChannelUnsubscribed) => {
      if (!willRetry && code !== 'not_subscribed') stop(new RealtimeError(code, { message, reason, data }));
    }),
    room.on('state', (state: string) => {
      // Behind the event that says why.
      if (state === 'unsubscribed') queueMicrotask(stop);
    }),
  ];
  const { signal } = options;
  const onAbort = (): void => stop();
  signal?.addEventListener('abort', onAbort);
  let share: ChannelSubscription | undefined;
  try {
    if (signal?.aborted === true) return;
    share = await room.subscribe(options);
    for (;;) {
      const ready = buffered;
      buffered = [];
      for (const event of ready) yield event;
      if (buffered.length > 0) continue;
      if (end !== undefined) break;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    if (end.error !== undefined) throw end.error;
  } catch (error) {
    // What the application ended before the answer is no error.
    const isUnwanted = share === undefined && end !== undefined && end.error === undefined;
    if (signal?.aborted !== true && !isUnwanted) throw error;
  } finally {
    share?.release();
    for (const off of offs) off();
    signal?.removeEventListener('abort', onAbort);
  }
}

function tooSlow(channel: string, maxBuffered: number): RealtimeError {
  return new RealtimeError(
    'rate_limited',
    `The loop is slower than the events of ${channel}: ${maxBuffered} wait (maxBuffered). Do less in it`,
  );
}
