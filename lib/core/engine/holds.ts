import type { RetryQueue } from '../async/retry-queue.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import { ChannelSet } from '../channel/channel-set.js';
import { HoldKeeper } from '../hub/hold-keeper.js';
import type { Occupancy } from '../hub/local-channel.js';
import type { Broker, BrokerPresence, PresenceEntry } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { Entropy } from '../ports/entropy.js';
import type { HoldsPolicy } from '../ports/settings.js';
import type { BrokerTransitions, Hold } from '../ports/transitions.js';

export interface HoldsDeps {
  readonly transitions: BrokerTransitions;
  readonly presence: BrokerPresence;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'token'>;
  readonly retries: RetryQueue;
  readonly journal: ThrottledLog;
  readonly leaseMs: number;
}

/**
 * Tells the broker which channels have subscribers on this node, and which users are members here, so that it records when that
 * begins and ends in the whole cluster. Only for channels that the policy names.
 */
export class Holds implements Occupancy {
  /** Membership as the node uses it: the users that enter are held too. */
  readonly members: BrokerPresence;
  private readonly keeper: HoldKeeper;
  private readonly channels: readonly ChannelSet[];
  /** Not the name of the node: one that was restarted is another holder, and need not end what the one before it held. */
  private readonly holder: string;

  constructor(
    private readonly policy: HoldsPolicy,
    deps: HoldsDeps,
  ) {
    this.keeper = new HoldKeeper(deps);
    this.channels = policy.channels.map((text) => ChannelSet.parse(text));
    this.holder = deps.entropy.token();
    this.members = this.holding(deps.presence);
  }

  start(): void {
    this.keeper.start();
  }

  close(): void {
    this.keeper.close();
  }

  begin(channel: string): void {
    if (this.concerns(channel)) this.keeper.hold({ channel, holder: this.holder, generation: 0 });
  }

  end(channel: string): void {
    this.keeper.release({ channel, holder: this.holder, generation: 0 }, this.policy.vacatedAfterMs);
  }

  private concerns(channel: string): boolean {
    return this.channels.some((set) => set.has(channel));
  }

  private holding(presence: BrokerPresence): BrokerPresence {
    return {
      enter: (entry, leaseMs) => {
        // Of an anonymous client each session is a member (G19): there is no user to tell of.
        if (entry.member !== entry.device && this.concerns(entry.channel)) this.keeper.hold(holdOf(entry));
        return presence.enter(entry, leaseMs);
      },
      leave: (entry, graceMs) => {
        this.keeper.release(holdOf(entry), graceMs);
        return presence.leave(entry, graceMs);
      },
      update: (entry) => presence.update(entry),
      renew: (entries, leaseMs) => presence.renew(entries, leaseMs),
      members: (channel, page) => presence.members(channel, page),
    };
  }
}

function holdOf({ channel, member, device, generation }: PresenceEntry): Hold {
  return { channel, member, holder: device, generation };
}

/** @throws RangeError where the broker records no transitions, or the policy names what is neither a channel nor a pattern. */
export function holdsOf(
  policy: HoldsPolicy | undefined,
  { transitions, presence }: Pick<Broker, 'transitions' | 'presence'>,
  deps: Omit<HoldsDeps, 'transitions' | 'presence'>,
): Holds | undefined {
  if (policy === undefined) return undefined;
  if (transitions === undefined)
    throw new RangeError('The broker records no transitions, which `holds` needs. Use another broker');
  return new Holds(policy, { ...deps, transitions, presence });
}
