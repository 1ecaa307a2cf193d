import { isChannelName } from '../../protocol/channel-name.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelHost } from './host.js';
import { ChannelHandle } from './handle.js';
import { Subscription } from './subscription.js';

/**
 * The channels of a client, one object per name. Those that are subscribed or listened to are kept; the others live
 * as long as the application holds them, so that a page that visits thousands of rooms does not collect them.
 */
export class ChannelRegistry {
  private readonly kept = new Map<string, Subscription>();
  private readonly known = new Map<string, WeakRef<Subscription>>();
  private readonly handles = new WeakMap<Subscription, ChannelHandle>();
  private readonly collected = new FinalizationRegistry<string>((name) => {
    // The name may have been taken anew in the meantime.
    if (this.known.get(name)?.deref() === undefined) this.known.delete(name);
  });
  private readonly host: ChannelHost<Subscription>;

  constructor(host: Omit<ChannelHost, 'inUse'>) {
    this.host = { ...host, inUse: (subscription, used) => this.setUsed(subscription, used) };
  }

  /**
   * The handle of a channel.
   *
   * @throws RangeError for what is no channel name.
   */
  get(name: string): ChannelHandle {
    const known = this.known.get(name)?.deref();
    const handle = known === undefined ? undefined : this.handles.get(known);
    return handle ?? this.make(name);
  }

  /** The subscription that a message is for. */
  find(name: string): Subscription | undefined {
    return this.kept.get(name);
  }

  join(): void {
    for (const subscription of [...this.kept.values()]) subscription.join();
  }

  lost(): void {
    for (const subscription of [...this.kept.values()]) subscription.lost();
  }

  stop(error: RealtimeError, forget: boolean): void {
    for (const subscription of [...this.kept.values()]) subscription.stop(error, forget);
  }

  private make(name: string): ChannelHandle {
    if (!isChannelName(name)) {
      throw new RangeError(
        `"${String(name)}" is no channel name: 1 to 200 of A-Z a-z 0-9 _ . : @ ~ -, in segments separated by dots, none empty (P23).`,
      );
    }
    const subscription = new Subscription(name, this.host);
    const handle = new ChannelHandle(subscription, this.host);
    // Whoever holds the handle, or its presence, holds the subscription, and that keeps the handle.
    this.handles.set(subscription, handle);
    this.known.set(name, new WeakRef(subscription));
    this.collected.register(subscription, name);
    return handle;
  }

  private setUsed(subscription: Subscription, used: boolean): void {
    if (used) this.kept.set(subscription.channel, subscription);
    else this.kept.delete(subscription.channel);
  }
}
