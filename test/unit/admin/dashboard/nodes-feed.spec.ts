import { beforeEach, describe, expect, it } from '@jest/globals';
import { NodesFeed } from '../../../../lib/admin/dashboard/nodes-feed.js';
import type { RealtimeRuntime } from '../../../../lib/nest/index.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('what those who look are sent', () => {
  let clock: ManualClock;
  let feed: NodesFeed;
  let asked: number;
  let published: [channel: string, event: string, payload: unknown][];
  /** What a question for readings resolves to. */
  let list: () => Promise<unknown>;

  beforeEach(() => {
    clock = new ManualClock();
    asked = 0;
    published = [];
    list = async () => Promise.resolve({ nodes: [], missing: [] });
    const engine = {
      readings: {
        list: async () => {
          asked++;
          return list();
        },
      },
      application: {
        publish: async (...event: [string, string, unknown]) => Promise.resolve(published.push(event)),
      },
    };
    const runtime = { engine, config: { settings: { nodeId: 'pod/1 ü' } } } as unknown as RealtimeRuntime;
    feed = new NodesFeed(runtime, clock);
  });

  it('goes to a channel of this node, once a second, however many look', async () => {
    const ends = [feed.watch(), feed.watch()];
    await clock.advanceAsync(999);
    expect(asked).toBe(0);
    await clock.advanceAsync(1);
    expect(published).toEqual([['$nodes.cG9kLzEgw7w', 'readings', { nodes: [], missing: [] }]]);
    ends[0]?.();
    // Again: it was one who looked.
    ends[0]?.();
    await clock.advanceAsync(1_000);
    expect(asked).toBe(2);
    ends[1]?.();
    await clock.advanceAsync(10_000);
    expect(asked).toBe(2);
    feed.watch();
    await clock.advanceAsync(1_000);
    expect(asked).toBe(3);
    feed.onModuleDestroy();
    await clock.advanceAsync(10_000);
    expect(asked).toBe(3);
  });

  it('asks again when the question before was answered, also with an error', async () => {
    let answer: () => void = () => undefined;
    list = () => new Promise((resolve) => (answer = () => resolve({ nodes: [], missing: [] })));
    feed.watch();
    await clock.advanceAsync(5_000);
    expect(asked).toBe(1);
    answer();
    list = async () => Promise.reject(new Error('no broker'));
    await clock.advanceAsync(1_000);
    await clock.advanceAsync(1_000);
    expect([asked, published.length]).toEqual([3, 1]);
  });
});
