import { isChannelName } from '../../protocol/channel-name.js';
import { ChannelHandle, type ChannelHandleDeps } from './handle.js';
import { SubscribeWindow } from './subscribe-window.js';
import { ClientSubscription, type ClientSubscriptionDeps } from './subscription.js';

/** Channels that are kept although they are neither subscribed nor listened to. */
const MAX_UNUSED = 1_000;

/**
 * The channels of a client, one object per name. Those that are subscribed or listened to are kept, and some others: a page that
 * visits thousands of rooms does not collect them. Handles of one name that were made apart act as one from the first use on.
 */
export class ClientChannels {
  private readonly known = new Map<string, ClientSubscription>();
  private readonly handles = new WeakMap<ClientSubscription, ChannelHandle>();
  private readonly deps: ClientSubscriptionDeps & ChannelHandleDeps;

  constructor(deps: Omit<ClientSubscriptionDeps & ChannelHandleDeps, 'inUse' | 'current' | 'window'>) {
    const { known } = this;
    this.deps = {
      ...deps,
      window: new SubscribeWindow(),
      current: (own) => known.get(own.channel) ?? own,
      inUse: (subscription, used) => {
        if (used) known.set(subscription.channel, subscription);
        else if (known.size > MAX_UNUSED) known.delete(subscription.channel);
      },
    };
  }

  /** The subscriptions that are kept, in a new array: a listener may add or remove some. */
  get all(): readonly ClientSubscription[] {
    return [...this.known.values()];
  }

  /**
   * The handle of a channel.
   *
   * @throws RangeError for what is no channel name.
   */
  get(name: string): ChannelHandle {
    const known = this.known.get(name);
    const handle = known === undefined ? undefined : this.handles.get(known);
    return handle ?? this.make(name);
  }

  /** The subscription that a message is for. */
  find(name: string): ClientSubscription | undefined {
    return this.known.get(name);
  }

  private make(name: string): ChannelHandle {
    if (!isChannelName(name)) {
      throw new RangeError(
        `"${String(name)}" is no channel name: 1 to 200 of A-Z a-z 0-9 _ . : @ ~ -, no empty segment`,
      );
    }
    const subscription = new ClientSubscription(name, this.deps);
    const handle = new ChannelHandle(subscription, this.deps);
    this.handles.set(subscription, handle);
    if (this.known.size < MAX_UNUSED) this.known.set(name, subscription);
    return handle;
  }
}
