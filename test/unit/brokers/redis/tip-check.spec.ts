import { beforeEach, describe, expect, it } from '@jest/globals';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { RedisFeeds } from '../../../../lib/brokers/redis/feed.js';
import { RedisKeys } from '../../../../lib/brokers/redis/keys.js';
import type { ComparedTip, RedisLog } from '../../../../lib/brokers/redis/log.js';
import { redisSettings } from '../../../../lib/brokers/redis/settings.js';
import { RedisTipCheck } from '../../../../lib/brokers/redis/tip-check.js';
import type { ReadRequest, ReadResult } from '../../../../lib/core/ports/broker.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

/** Most channels that are read at a time. */
const MAX_READS = 8;
const NAMES = Array.from({ length: 20 }, (_, index) => `rooms.${index}`);
const OLD: Position = { epoch: 'old', seq: 3 };

describe('the check of the tips', () => {
  let feeds: RedisFeeds;
  let check: RedisTipCheck;
  let asked: (readonly Position[] | undefined)[];
  let reads: { readonly request: ReadRequest; readonly answer: (result: ReadResult) => void }[];
  let compared: (channel: string) => ComparedTip;

  beforeEach(() => {
    const clock = new ManualClock();
    feeds = new RedisFeeds(new RedisKeys('p', 1), () => undefined, clock);
    feeds.start(new RecordingListener());
    for (const name of NAMES) {
      feeds.open(name);
      feeds.setTip(name, OLD);
    }
    asked = [];
    reads = [];
    const log: Pick<RedisLog, 'compare' | 'read'> = {
      compare: (channels, positions) => {
        asked.push(positions);
        return Promise.resolve(channels.map((channel) => compared(channel)));
      },
      read: (request) => new Promise((answer) => reads.push({ request, answer })),
    };
    const settings = redisSettings({ clock, entropy: new SeededEntropy(1), tipCheck: { intervalMs: 1_000 } });
    check = new RedisTipCheck(feeds, log as RedisLog, settings);
  });

  it('takes the new name of a log that lost nothing, and reads nothing (G6)', async () => {
    const tip = { epoch: 'new', seq: 3 };
    compared = () => ({ tip, continuous: true });
    check.checkNow(NAMES);
    await settle();
    expect(asked).toEqual([NAMES.map(() => OLD)]);
    expect(NAMES.map((name) => feeds.seenOf(name))).toEqual(NAMES.map(() => tip));
    expect(reads).toEqual([]);
  });

  it.each([
    ['has more', { tip: { epoch: 'old', seq: 4 }, continuous: true }],
    ['has more under a new name', { tip: { epoch: 'new', seq: 4 }, continuous: true }],
    ['is another one of the same length', { tip: { epoch: 'new', seq: 3 }, continuous: false }],
    ['is a shorter one', { tip: { epoch: 'new', seq: 1 }, continuous: false }],
  ])('reads a log that %s, from where it stands (G5, G6)', async (_what, found) => {
    compared = () => found;
    check.checkNow(NAMES.slice(0, 1));
    await settle();
    expect(reads.map(({ request }) => request)).toMatchObject([{ channel: NAMES[0], epoch: 'old', from: 4 }]);
    expect(feeds.seenOf(NAMES[0] ?? '')).toEqual(OLD);
  });

  it('reads a few logs at a time, and each of them once', async () => {
    const tip = { epoch: 'new', seq: 5 };
    compared = () => ({ tip, continuous: false });
    check.checkNow(NAMES);
    await settle();
    expect(reads).toHaveLength(MAX_READS);
    for (let done = 0; done < NAMES.length; done++) {
      reads[done]?.answer({ tip, continuous: false, oldest: 1, events: [] });
      await settle();
      expect(reads).toHaveLength(Math.min(NAMES.length, MAX_READS + done + 1));
    }
    expect(new Set(reads.map(({ request }) => request.channel)).size).toBe(NAMES.length);
    expect(NAMES.map((name) => feeds.seenOf(name))).toEqual(NAMES.map(() => tip));
  });
});
