import { expect } from '@jest/globals';
import type { ChannelDefinition, HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { settle } from '../engine/manual-clock.js';
import { until } from '../until.js';
import { wireChannel } from './channel.js';
import type { WireClient } from './client.js';
import type { WireServer } from './server.js';

/** Counts the calls of `@OnSubscribe` and `@OnUnsubscribe` of one application on several nodes. */
export interface HookPairs {
  readonly channel: ChannelDefinition;
  /** `<connection> <channel>` of subscriptions that began and did not end. Those that ended first are negative. */
  open(): Readonly<Record<string, number>>;
  /** How often the hooks ran for a channel: begun, ended. */
  counts(channel: string): readonly [number, number];
}

type Nodes = readonly WireServer[];

/** Every subscription of `rooms.*` is counted. */
export function hookPairs(): HookPairs {
  const balance = new Map<string, number>();
  const counts = new Map<string, [number, number]>();
  const note = (channel: string, which: 0 | 1): void => {
    const both = counts.get(channel) ?? [0, 0];
    both[which]++;
    counts.set(channel, both);
  };
  const change =
    (by: 1 | -1) =>
    ({ user, channel }: HandlerCall): void => {
      // A channel that was inherited ends at a newer connection of the same user: not the connection is counted.
      const key = `${user?.id} ${channel}`;
      balance.set(key, (balance.get(key) ?? 0) + by);
      note(channel, by === 1 ? 0 : 1);
    };
  return {
    channel: wireChannel('rooms.:room', {
      publish: ['said'],
      presence: { graceMs: 0 },
      behaviour: {
        authorize: {
          subscribe: ({ params }) => (params['room'] === 'slow' ? settle().then(() => true) : true),
        },
        onSubscribe: change(1),
        onUnsubscribe: change(-1),
      },
    }),
    open: () => Object.fromEntries([...balance].filter(([, count]) => count !== 0)),
    counts: (channel) => counts.get(channel) ?? [0, 0],
  };
}

async function comeBack(node: WireServer, older: WireClient, token = 'ada'): Promise<WireClient> {
  const client = await node.open();
  await client.hello(token, { session: older.welcome?.session });
  return client;
}

const isEmpty = (pairs: HookPairs) => Object.keys(pairs.open()).length === 0;

async function leave(client: WireClient, pairs: HookPairs): Promise<void> {
  client.send({ type: 'bye', id: 'bye' });
  await client.expectClose(1000);
  await until('every hook to have its counterpart', () => isEmpty(pairs));
}

type Scenario = (nodes: Nodes, pairs: HookPairs) => Promise<void>;

/** A client moves between two nodes; in the end every `@OnSubscribe` has exactly one `@OnUnsubscribe`. */
export const HOOK_SCENARIOS: readonly (readonly [string, Scenario])[] = [
  [
    'a client that is taken over on another node, subscribes there to one of its channels, and not to the other',
    async ([left, right], pairs) => {
      const older = await (left as WireServer).connect('ada');
      await older.subscribe('rooms.1');
      await older.subscribe('rooms.2');
      const newer = await comeBack(right as WireServer, older);
      await older.expectClose(4810);
      await newer.subscribe('rooms.1');
      await until('the older node to have ended both', () => pairs.counts('rooms.2')[1] === 1);
      expect(pairs.open()).toEqual({ 'ada rooms.1': 1 });
      await leave(newer, pairs);
      expect([pairs.counts('rooms.1'), pairs.counts('rooms.2')]).toEqual([
        [2, 2],
        [1, 1],
      ]);
    },
  ],
  [
    'the same on one node: the subscription that goes on is one for the hooks',
    async ([left], pairs) => {
      const older = await (left as WireServer).connect('ada');
      await older.subscribe('rooms.1');
      await older.subscribe('rooms.2');
      const newer = await comeBack(left as WireServer, older);
      await older.expectClose(4810);
      await newer.subscribe('rooms.1');
      await until('what was not subscribed again to end', () => pairs.counts('rooms.2')[1] === 1);
      await leave(newer, pairs);
      expect([pairs.counts('rooms.1'), pairs.counts('rooms.2')]).toEqual([
        [1, 1],
        [1, 1],
      ]);
    },
  ],
  [
    'there and back again, and the second time',
    async ([left, right], pairs) => {
      let client = await (left as WireServer).connect('ada');
      await client.subscribe('rooms.1');
      for (const node of [right, left, right, left] as WireServer[]) {
        const older = client;
        client = await comeBack(node, older);
        await older.expectClose(4810);
        await client.subscribe('rooms.1');
        await client.subscribe('rooms.slow');
      }
      await leave(client, pairs);
      expect(pairs.counts('rooms.1')).toEqual([5, 5]);
    },
  ],
  [
    'a client that takes over on the same node, and before it subscribed again on another one',
    async ([left, right], pairs) => {
      const first = await (left as WireServer).connect('ada');
      await first.subscribe('rooms.1');
      const second = await comeBack(left as WireServer, first);
      const third = await comeBack(right as WireServer, second);
      await second.expectClose(4810);
      await until('what was inherited to end', () => pairs.counts('rooms.1')[1] === 1);
      await third.subscribe('rooms.1');
      await leave(third, pairs);
      expect(pairs.counts('rooms.1')).toEqual([2, 2]);
    },
  ],
  [
    'a client that takes over twice on one node before it subscribes again',
    async ([left], pairs) => {
      const first = await (left as WireServer).connect('ada');
      await first.subscribe('rooms.1');
      const second = await comeBack(left as WireServer, first);
      const third = await comeBack(left as WireServer, second);
      await second.expectClose(4810);
      await third.subscribe('rooms.1');
      expect(pairs.open()).toEqual({ 'ada rooms.1': 1 });
      await leave(third, pairs);
      expect(pairs.counts('rooms.1')).toEqual([1, 1]);
    },
  ],
  [
    'a client whose subscribe is under way when it is taken over on another node',
    async ([left, right], pairs) => {
      const older = await (left as WireServer).connect('ada');
      older.send({ type: 'subscribe', id: 's', channel: 'rooms.slow' });
      const newer = await comeBack(right as WireServer, older);
      await older.expectClose(4810);
      await newer.subscribe('rooms.slow');
      await leave(newer, pairs);
    },
  ],
  [
    'a client whose connection was lost before it came back on another node',
    async ([left, right], pairs) => {
      const older = await (left as WireServer).connect('ada');
      await older.subscribe('rooms.1');
      older.terminate();
      await until('the session to end', () => (left as WireServer).engine.status.sessions === 0);
      const newer = await comeBack(right as WireServer, older);
      await newer.subscribe('rooms.1');
      await leave(newer, pairs);
      expect(pairs.counts('rooms.1')).toEqual([2, 2]);
    },
  ],
  [
    'a client that is revoked after a takeover on another node',
    async ([left, right], pairs) => {
      const older = await (left as WireServer).connect('ada');
      await older.subscribe('rooms.1');
      await older.subscribe('rooms.2');
      const newer = await comeBack(right as WireServer, older);
      await newer.subscribe('rooms.1');
      await (left as WireServer).engine.revoke('ada');
      await newer.take({ type: 'unsubscribed' });
      await until('every hook to have its counterpart', () => isEmpty(pairs));
      expect(pairs.counts('rooms.1')).toEqual([2, 2]);
    },
  ],
];
