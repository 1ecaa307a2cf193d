import { isChannelName } from '../../protocol/channel-name.js';
import { ChannelHandle, type ChannelHandleDeps } from './handle.js';
import { SubscribeWindow } from './subscribe-window.js';
import { ClientSubscription, type ClientSubscriptionDeps } from './subscription.js';

/**
 * The channels of a client, one object per name. Those that are subscribed or listened to are kept; the others live
 * as long as the application holds them, so that a page that visits thousands of rooms does not collect them.
 */
export class ClientChannels {
  private readonly kept = new Map<string, ClientSubscription>();
  private readonly known = new Map<string, WeakRef<ClientSubscription>>();
  private readonly handles = new WeakMap<ClientSubscription, ChannelHandle>();
  private readonly collected = new FinalizationRegistry<string>((name) => {
    // The name may have been used again since.
    if (this.known.get(name)?.deref() === undefined) this.known.delete(name);
  });
  private readonly deps: ClientSubscriptionDeps & ChannelHandleDeps;

  constructor(deps: Omit<ClientSubscriptionDeps, 'inUse' | 'window'> & ChannelHandleDeps) {
    const inUse: ClientSubscriptionDeps['inUse'] = (subscription, used) => {
      if (used) this.kept.set(subscription.channel, subscription);
      else this.kept.delete(subscription.channel);
    };
    this.deps = { ...deps, inUse, window: new SubscribeWindow() };
  }

  /** The subscriptions that are kept, in a new array: a listener may add or remove some. */
  get all(): readonly ClientSubscription[] {
    return [...this.kept.values()];
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
  find(name: string): ClientSubscription | undefined {
    return this.kept.get(name);
  }

  private make(name: string): ChannelHandle {
    if (!isChannelName(name)) {
      throw new RangeError(
        `"${String(name)}" is not a channel name: 1 to 200 of A-Z a-z 0-9 _ . : @ ~ -, in segments separated by dots, none empty.`,
      );
    }
    const subscription = new ClientSubscription(name, this.deps);
    const handle = new ChannelHandle(subscription, this.deps);
    // The handle, and its presence, hold the subscription; and the subscription keeps the handle here.
    this.handles.set(subscription, handle);
    this.known.set(name, new WeakRef(subscription));
    this.collected.register(subscription, name);
    return handle;
  }
}
