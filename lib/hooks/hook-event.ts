/** A channel got its first subscriber of the whole cluster, or lost its last. */
export interface ChannelHookEvent {
  /** Never used twice, and the same in every attempt: what a receiver compares to take it once. */
  readonly id: string;
  /** What happened. */
  readonly type: 'channel.occupied' | 'channel.vacated';
  /** When, in milliseconds since the Unix epoch, by the broker's clock. */
  readonly at: number;
  /** Name of the channel. */
  readonly channel: string;
}

/** A user became a member of a channel with presence, with the first device, or left it, with the last. */
export interface MemberHookEvent {
  /** See {@link ChannelHookEvent.id}. */
  readonly id: string;
  /** What happened. */
  readonly type: 'member.joined' | 'member.left';
  /** See {@link ChannelHookEvent.at}. */
  readonly at: number;
  /** Name of the channel. */
  readonly channel: string;
  /** Id of the user. */
  readonly user: string;
}

/** A notice was published for a user who has no session on any node. */
export interface OfflineHookEvent {
  /** See {@link ChannelHookEvent.id}. */
  readonly id: string;
  /** What happened. */
  readonly type: 'user.offline';
  /** When it was published, in milliseconds since the Unix epoch, by the clock of the node that published. */
  readonly at: number;
  /** Id of the user. */
  readonly user: string;
  /** What was published: its event, its id and its payload. */
  readonly notice: { readonly event: string; readonly id: string; readonly payload: unknown };
}

/** What hooks and webhooks are called with. */
export type HookEvent = ChannelHookEvent | MemberHookEvent | OfflineHookEvent;

/** Something that hook events are delivered to: a provider of the application, an address over HTTP. */
export interface HookTarget {
  /** For logs: the class of a provider, the origin of an address. Its path may hold a token. */
  readonly name: string;
  /** Types that it wants. */
  readonly types: ReadonlySet<HookEvent['type']>;
  /** Delivers once; a rejection is a failed attempt, and is tried again. `signal` aborts at its time-out and when the node stops. */
  deliver(event: HookEvent, signal: AbortSignal): Promise<void>;
}
