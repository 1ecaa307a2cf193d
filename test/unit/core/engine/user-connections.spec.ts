import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { UserOverflow } from '../../../../lib/core/ports/settings.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('the limit of connections of a user', () => {
  const clock = new ManualClock();
  let nodes: EngineHarness[] = [];
  let warnings: string[];
  /** Nodes whose messages are lost. */
  let deaf: Set<number>;
  /** Messages that wait until they are delivered. */
  let held: (() => void)[] | undefined;

  async function start(count: number, max: number, whenUserIsFull: UserOverflow): Promise<void> {
    const store = new MemoryStore({ clock });
    warnings = [];
    deaf = new Set();
    held = undefined;
    nodes = [];
    for (let index = 0; index < count; index++) {
      const inner = memoryBroker({ store });
      const broker = alteredBroker(inner, {
        bus: {
          send: async (node, topic, bytes) => {
            if (deaf.has(index) || deaf.has(Number(node.slice(5)))) return;
            if (held === undefined) return inner.bus.send?.(node, topic, bytes);
            held.push(() => void inner.bus.send?.(node, topic, bytes));
          },
        },
      });
      const limits = { maxConnectionsPerUser: max, whenUserIsFull };
      nodes.push(
        await EngineHarness.start([channel('rooms.:room')], {
          clock,
          broker,
          warnings,
          seed: index + 1,
          settings: { nodeId: `node-${index}`, limits },
        }),
      );
    }
    await clock.advanceAsync(1_000);
  }
  afterEach(() => Promise.all(nodes.map((node) => node.stop())));

  const at = (index: number): EngineHarness => nodes[index] as EngineHarness;
  const hello = (index: number, token?: string, session?: string): FakeConnection => {
    const connection = at(index).connect();
    connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token, session } });
    return connection;
  };
  async function come(index: number, token?: string, session?: string): Promise<FakeConnection> {
    const connection = hello(index, token, session);
    await quiet();
    await quiet();
    return connection;
  }
  const codes = (clients: readonly FakeConnection[]): (number | undefined)[] =>
    clients.map(({ closed }) => closed?.code);
  const ticketOf = ({ received }: FakeConnection): string =>
    (received.find(({ type }) => type === 'welcome')?.payload as { session: string }).session;
  const isWelcome = ({ received }: FakeConnection): boolean =>
    received.some(({ type }) => type === 'welcome');

  it.each([1, 2, 3])('refuses the newest before its welcome, on %i nodes alike (P18g)', async (count) => {
    await start(count, 2, 'refuse');
    const clients: FakeConnection[] = [];
    for (let number = 0; number < 3; number++) clients.push(await come(number % count, 'user:ada'));
    expect(codes(clients)).toEqual([undefined, undefined, 4009]);
    const [, , refused] = clients;
    expect(isWelcome(refused as FakeConnection)).toBe(false);
    expect(refused?.take('error')[0]?.payload).toMatchObject({
      code: 'rate_limited',
      reason: 'too_many_connections',
      retryAfterMs: expect.any(Number),
    });
    expect(refused?.closed?.reason).toMatch(/^too_many_connections\|1\d{4}$/);
    expect(isWelcome(await come(0, 'user:bob'))).toBe(true);
    clients[0]?.send({ type: 'bye', id: 'b' });
    await quiet();
    expect(isWelcome(await come(count - 1, 'user:ada'))).toBe(true);
    expect(warnings.filter((line) => line.includes('maxConnectionsPerUser'))).toHaveLength(1);
  });

  it.each([1, 2, 3])('ends the oldest for good with 4812, on %i nodes alike (P18g)', async (count) => {
    await start(count, 2, 'end_oldest');
    const clients: FakeConnection[] = [];
    for (let number = 0; number < 4; number++) clients.push(await come(number % count, 'user:ada'));
    expect(codes(clients)).toEqual([4812, 4812, undefined, undefined]);
    expect(clients[0]?.closed?.reason).toBe('replaced|0');
    expect(clients.every(isWelcome)).toBe(true);
  });

  it.each(['refuse', 'end_oldest'] as const)(
    'of those that come at once at three nodes exactly as many stay as may be, in any order of the messages: %s (P18g)',
    async (when) => {
      await start(3, 2, when);
      for (let seed = 0; seed < 12; seed++) {
        held = [];
        const clients = [0, 1, 2, 0, 1, 2].map((index) => hello(index, `user:u${seed}`));
        // Each to the other, in an order that the seed gives; those of one node to another stay in their order.
        for (let round = 0; round < 40; round++) {
          await quiet();
          if (held.length === 0) continue;
          held.splice((seed + round) % held.length, 1)[0]?.();
        }
        held = undefined;
        await clock.advanceAsync(10);
        await quiet();
        const stay = clients.filter(({ closed }) => closed === undefined);
        expect(stay.length).toBe(2);
        expect(stay.every(isWelcome)).toBe(true);
      }
    },
  );

  it('counts a session that continues once, also where its older connection is on another node (P18g, P28)', async () => {
    await start(2, 1, 'refuse');
    const first = await come(0, 'user:ada');
    const second = await come(1, 'user:ada', ticketOf(first));
    expect(codes([first, second])).toEqual([4810, undefined]);
    const third = await come(1, 'user:ada', ticketOf(second));
    expect(codes([second, third])).toEqual([4810, undefined]);
    expect(codes([await come(0, 'user:ada')])).toEqual([4009]);
  });

  it('one ticket at two nodes is two connections of its user (P18g)', async () => {
    await start(3, 1, 'refuse');
    const ticket = ticketOf(await come(0, 'user:ada'));
    const both = [hello(1, 'user:ada', ticket), hello(2, 'user:ada', ticket)];
    for (let turn = 0; turn < 4; turn++) await quiet();
    expect(codes(both).sort()).toEqual([4009, undefined]);
  });

  it.each<UserOverflow>(['refuse', 'end_oldest'])(
    'older tickets that are played again, each at the node that it names, leave one connection: %s (P18g, P28)',
    async (whenUserIsFull) => {
      await start(3, 1, whenUserIsFull);
      const tickets = new Map<number, string>();
      let ticket: string | undefined;
      for (const node of [1, 0, 2])
        tickets.set(node, (ticket = ticketOf(await come(node, 'user:ada', ticket))));
      const again: FakeConnection[] = [];
      for (const node of [1, 0, 2]) again.push(await come(node, 'user:ada', tickets.get(node)));
      for (let turn = 0; turn < 4; turn++) await quiet();
      const live = nodes.flatMap(({ engine }) => engine.sessionsOf('ada'));
      expect(live).toHaveLength(1);
      expect(codes(again).filter((code) => code === undefined).length).toBeLessThanOrEqual(1);
    },
  );

  it('anonymous clients are no user, and 0 is no bound (P18g)', async () => {
    await start(2, 1, 'refuse');
    expect(codes([await come(0), await come(1), await come(0)])).toEqual([undefined, undefined, undefined]);
    await Promise.all(nodes.map((node) => node.stop()));
    await start(2, 0, 'end_oldest');
    expect(codes([await come(0, 'user:ada'), await come(1, 'user:ada')])).toEqual([undefined, undefined]);
  });

  it('waits half a second for a node that does not answer, admits, logs it once, and asks it again later (G17)', async () => {
    await start(3, 1, 'refuse');
    const first = await come(1, 'user:ada');
    deaf.add(1);
    const second = await come(0, 'user:ada');
    expect(isWelcome(second)).toBe(false);
    await clock.advanceAsync(499);
    expect(isWelcome(second)).toBe(false);
    await clock.advanceAsync(1);
    await quiet();
    expect([isWelcome(second), first.closed]).toEqual([true, undefined]);
    expect(warnings.filter((line) => line.includes('"node-1"'))).toHaveLength(1);
    expect(codes([await come(0, 'user:ada')])).toEqual([4009]);
    expect(isWelcome(await come(0, 'user:bob'))).toBe(true);
    deaf.clear();
    await clock.advanceAsync(5_000);
    second.send({ type: 'bye', id: 'b' });
    await quiet();
    expect(codes([await come(0, 'user:ada')])).toEqual([4009]);
  });

  it('a node that is alone asks nobody, and answers hello in the same turn', async () => {
    await start(1, 2, 'refuse');
    await come(0, 'user:ada');
    hello(0, 'user:ada');
    expect(at(0).engine.sessionsOf('ada')).toHaveLength(2);
    expect(codes([hello(0, 'user:ada')])).toEqual([4009]);
  });
});
