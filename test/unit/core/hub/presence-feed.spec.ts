import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Subscription } from '../../../../lib/core/hub/subscription.js';
import { COUNT_INTERVAL_MS, PresenceFeed } from '../../../../lib/core/hub/presence-feed.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import type { PresenceCount, PresenceDiff, PresencePage } from '../../../../lib/protocol/messages.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const MAX = 10;
const VARIANT = { codec: jsonCodec };

/** The part of a subscription that the feed looks at, with a queue that can be full. */
class Subscriber {
  readonly takesCounts: boolean;
  ended = false;
  presenceVersion: number | undefined;
  presenceEpoch = '';
  full = false;
  readonly buffers: Buffer[] = [];
  private waiter: (() => void) | undefined;
  readonly outbox = {
    connection: { variant: VARIANT },
    pushDroppable: (bytes: Buffer) => {
      if (this.full) return false;
      this.buffers.push(bytes);
      return true;
    },
    whenRoom: (waiter: () => void) => (this.waiter = waiter),
  };

  constructor(takesCounts = true) {
    this.takesCounts = takesCounts;
  }

  notePresence(epoch: string, version: number): void {
    this.presenceEpoch = epoch;
    this.presenceVersion = version;
  }

  forgetPresence(): void {
    this.presenceEpoch = '';
  }

  get asSubscription(): Subscription {
    return this as unknown as Subscription;
  }

  drain(): void {
    this.full = false;
    this.waiter?.();
  }

  /** What came since the last call: a number, or a diff in words. */
  take(): (number | string)[] {
    return this.buffers.splice(0).map((bytes) => {
      const { payload } = JSON.parse(bytes.toString()) as { payload: PresenceDiff | PresenceCount };
      if (!('previous' in payload)) return payload.count;
      const { previous, version, join, leave } = payload;
      return `${previous}→${version}${join.map(({ id }) => `+${id}`).join('')}${leave.map((id) => `-${id}`).join('')}`;
    });
  }
}

let clock: ManualClock;
let subscriptions: Set<Subscription>;
let feed: PresenceFeed;
let flushes: number;
let audience: { isFrozen: boolean };
let version: number;
beforeEach(() => {
  clock = new ManualClock();
  subscriptions = new Set();
  flushes = 0;
  version = 0;
  const told = { name: 'rooms.1', subscriptions, isFrozen: false, flush: () => void flushes++ };
  audience = told;
  feed = new PresenceFeed(told, MAX, { clock, onUnwritable: () => undefined });
});

const page = (at: number, count: number, epoch = 'p'): PresencePage => ({
  epoch,
  version: at,
  count,
  members: [],
});

/** What the broker tells; `count` as the version before this one has it: not at all. */
function diff(join: string[], leave: string[] = [], count?: number, epoch = 'p'): void {
  const previous = version++;
  const members = join.map((id) => ({ id, devices: 1 }));
  feed.onDiff({
    ...{ epoch, version, previous, join: members, update: [], leave },
    ...(count === undefined ? {} : { count }),
  });
}

function subscriber(at: PresencePage, takesCounts = true): { one: Subscriber; answer: PresencePage } {
  const one = new Subscriber(takesCounts);
  const answer = feed.answer(one.asSubscription, at);
  subscriptions.add(one.asSubscription);
  feed.follow(one.asSubscription, at);
  return { one, answer };
}

describe('PresenceFeed (G19)', () => {
  it('encodes a count, and a diff, once for all subscribers (P22b)', () => {
    const [ada, bob] = [subscriber(page(0, MAX)).one, subscriber(page(0, MAX)).one];
    const [old, older] = [subscriber(page(0, MAX), false).one, subscriber(page(0, MAX), false).one];
    diff(['x'], [], MAX + 1);
    expect(ada.buffers[0]).toBe(bob.buffers[0]);
    expect(old.buffers[0]).toBe(older.buffers[0]);
    expect([ada.take(), bob.take(), old.take()]).toEqual([[11], [11], ['0→1+x']]);
  });

  it('sends nothing to a subscription that ended with its own answer, and does not keep it (G13)', () => {
    const gone = new Subscriber(false);
    gone.ended = true;
    gone.presenceVersion = 0;
    feed.follow(gone.asSubscription, page(0, MAX + 5));
    subscriber(page(0, MAX + 5));
    diff([], ['a'], MAX + 4);
    expect(gone.take()).toEqual([]);
  });

  it('sends the events of the turn before a count that was due (P24)', () => {
    subscriber(page(0, MAX + 5));
    diff([], ['a'], MAX + 4);
    diff([], ['b'], MAX + 3);
    const before = flushes;
    clock.advance(COUNT_INTERVAL_MS);
    expect(flushes).toBe(before + 1);
  });

  it('learns from a page that the channel is large: the answer says so, and the others are notified (P22a)', () => {
    const { one: early, answer } = subscriber(page(0, MAX));
    expect(answer).not.toHaveProperty('counted');
    // Read by somebody else; its diffs are still on the way.
    const { one: late, answer: counted } = subscriber(page(3, MAX + 3));
    expect(counted).toMatchObject({ counted: true, count: MAX + 3 });
    expect(early.take()).toEqual([MAX + 3]);
    for (const name of ['a', 'b', 'c']) diff([name], [], MAX + version);
    clock.advance(10 * COUNT_INTERVAL_MS);
    expect([early.take(), late.take()]).toEqual([[], []]);
  });

  it('learns from a page that the channel is small again (P22c)', () => {
    const { one: early } = subscriber(page(0, MAX + 1));
    const { answer } = subscriber(page(2, 9));
    expect(answer).not.toHaveProperty('counted');
    expect(early.take()).toEqual(['2→2']);
    diff([], ['a'], MAX);
    diff([], ['b'], 9);
    expect(early.take()).toEqual([]);
    diff(['c'], [], 10);
    expect(early.take()).toEqual(['2→3+c']);
  });

  it('sends the next count to a subscriber whose page is older than the last count (P22b)', () => {
    subscriber(page(0, MAX + 1));
    diff(['a'], [], MAX + 2);
    const { one } = subscriber(page(0, MAX + 1));
    expect(one.take()).toEqual([]);
    clock.advance(COUNT_INTERVAL_MS);
    expect(one.take()).toEqual([MAX + 2]);
  });

  it('reads a page again only where a change would be missed (P22a, G19)', () => {
    const counts = subscriber(page(0, MAX)).one.asSubscription;
    const follows = subscriber(page(0, MAX), false).one.asSubscription;
    expect(feed.hasMissed(counts, undefined)).toBe(false);
    expect(feed.hasMissed(follows, page(0, MAX))).toBe(false);
    diff(['a'], [], MAX + 1);
    // The next count makes up for what is missing here.
    expect(feed.hasMissed(counts, page(0, MAX))).toBe(false);
    expect(feed.hasMissed(follows, page(0, MAX))).toBe(true);
    expect(feed.hasMissed(follows, page(1, MAX + 1))).toBe(false);
    expect(feed.hasMissed(follows, page(1, MAX + 1, 'other'))).toBe(true);
  });

  it('replaces a count that does not fit by a diff without content (P25c)', () => {
    const { one } = subscriber(page(0, MAX + 1));
    one.full = true;
    diff(['a'], [], MAX + 2);
    diff(['b'], [], MAX + 3);
    clock.advance(COUNT_INTERVAL_MS);
    one.drain();
    expect(one.take()).toEqual(['2→2']);
  });

  it('calculates the count that nodes of an earlier version do not send (P22a)', () => {
    const { one } = subscriber(page(0, MAX - 1));
    diff(['a']);
    diff(['b']);
    diff(['c', 'd'], ['a']);
    clock.advance(COUNT_INTERVAL_MS);
    expect(one.take()).toEqual(['0→1+a', 11, 12]);
    // One that is known already is not added twice.
    feed.onDiff({
      epoch: 'p',
      version: 2,
      previous: 1,
      join: [{ id: 'b', devices: 1 }],
      update: [],
      leave: [],
    });
    clock.advance(COUNT_INTERVAL_MS);
    diff(['e']);
    clock.advance(COUNT_INTERVAL_MS);
    expect(one.take()).toEqual([13]);
  });

  it('continues to count under another epoch (G6, G19)', () => {
    const { one } = subscriber(page(7, MAX + 1));
    version = 0;
    diff(['a'], [], MAX + 2, 'q');
    clock.advance(COUNT_INTERVAL_MS);
    diff(['b'], [], MAX + 3, 'q');
    clock.advance(COUNT_INTERVAL_MS);
    expect(one.take()).toEqual([MAX + 2, MAX + 3]);
  });

  it('sends nothing to sessions that want nothing, and forgets sessions that ended', () => {
    const silent = new Subscriber();
    subscriptions.add(silent.asSubscription);
    const { one: gone } = subscriber(page(0, MAX), false);
    subscriptions.delete(gone.asSubscription);
    feed.remove(gone.asSubscription);
    diff(['a'], [], MAX + 1);
    diff([], ['a', 'b'], MAX - 1);
    expect([silent.take(), gone.take()]).toEqual([[], []]);
  });

  describe('during a delivery freeze (G11)', () => {
    it('sends nothing, and afterwards makes those read again who missed something (G11)', () => {
      const { one: behind } = subscriber(page(0, 5));
      const { one: old } = subscriber(page(0, 5), false);
      audience.isFrozen = true;
      diff(['a']);
      diff(['b'], ['a']);
      const { one: current } = subscriber(page(2, 6));
      expect([behind.take(), old.take(), current.take()]).toEqual([[], [], []]);
      audience.isFrozen = false;
      feed.catchUp();
      expect([behind.take(), old.take(), current.take()]).toEqual([['2→2'], ['2→2'], []]);
      diff(['c']);
      expect([behind.take(), old.take(), current.take()]).toEqual([['2→3+c'], ['2→3+c'], ['2→3+c']]);
    });

    it('neither counts nor announces the end of counting, and does so afterwards (G11, P22a)', () => {
      const { one } = subscriber(page(0, MAX + 1));
      diff(['a'], [], MAX + 2);
      clock.advance(COUNT_INTERVAL_MS);
      expect(one.take()).toEqual([MAX + 2]);
      audience.isFrozen = true;
      diff(['b'], [], MAX + 3);
      clock.advance(COUNT_INTERVAL_MS);
      audience.isFrozen = false;
      feed.catchUp();
      expect(one.take()).toEqual([MAX + 3]);
      audience.isFrozen = true;
      diff([], ['a', 'b', 'c', 'd', 'e'], MAX - 2);
      expect(one.take()).toEqual([]);
      audience.isFrozen = false;
      feed.catchUp();
      clock.advance(10 * COUNT_INTERVAL_MS);
      expect(one.take()).toEqual(['3→3']);
    });

    it('makes a session whose queue was full in the freeze read again afterwards (G11, P25)', () => {
      const { one } = subscriber(page(0, 5));
      one.full = true;
      diff(['a']);
      audience.isFrozen = true;
      one.drain();
      expect(one.take()).toEqual([]);
      audience.isFrozen = false;
      feed.catchUp();
      expect(one.take()).toEqual(['1→1']);
    });
  });

  it('leaves no timer when the channel is served no longer', () => {
    subscriber(page(0, MAX + 1));
    diff(['a'], [], MAX + 2);
    diff(['b'], [], MAX + 3);
    expect(clock.pending).toBe(1);
    feed.close();
    diff(['c'], [], MAX + 4);
    expect(clock.pending).toBe(0);
  });
});
