import { afterEach, describe, expect, it } from '@jest/globals';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';

const AGE_MS = 100_000;

describe('connections that have become old (G18)', () => {
  let harness: EngineHarness;
  afterEach(() => harness.stop());

  async function start(maxConnectionAgeMs = AGE_MS): Promise<void> {
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: { requests: new Map([['ask', () => new Promise(() => undefined)]]) },
        }),
      ],
      {
        settings: {
          maxConnectionAgeMs,
          handlerTimeoutMs: 60_000,
          heartbeat: { intervalMs: 10_000_000, timeoutMs: 10_000_000 },
          limits: { maxConnectionsPerAddress: 10_000, nodeConnectsPerSecond: 0 },
        },
      },
    );
  }

  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      harness.clock.advance(100);
      await quiet();
    }
  }

  const byeOf = (client: FakeConnection) => client.received.find(({ type }) => type === 'bye')?.payload;

  it('are asked to come back between 0.8 of the age and the age, and closed with 4002 when all has left', async () => {
    await start();
    const client = await harness.subscriber('rooms.1');
    await pass(AGE_MS * 0.8 - 500);
    expect(byeOf(client)).toBeUndefined();
    await pass(AGE_MS * 0.2 + 1_500);
    expect(byeOf(client)).toEqual({ code: 4002, retryAfterMs: 0, spreadMs: 250 });
    expect(client.closed).toEqual({ code: 4002, reason: 'rotate|0' });
    expect(harness.engine.status.sessions).toBe(0);
  });

  it('have ten seconds for the commands that run', async () => {
    await start();
    const client = await harness.subscriber('rooms.1');
    await pass(AGE_MS * 0.79);
    client.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'ask' });
    while (byeOf(client) === undefined) await pass(100);
    await pass(9_800);
    expect(client.closed).toBeUndefined();
    await pass(400);
    expect(client.closed?.code).toBe(4002);
  });

  it('many that came together leave a few at a time, over a fifth of the age', async () => {
    await start();
    const clients: FakeConnection[] = [];
    for (let n = 0; n < 400; n++) clients.push(await harness.greet());
    await pass(AGE_MS * 0.8 - 2_000);
    const perSecond: number[] = [];
    let before = 0;
    for (let second = 0; second < 24; second++) {
      await pass(1_000);
      const asked = clients.filter((client) => byeOf(client) !== undefined).length;
      perSecond.push(asked - before);
      before = asked;
    }
    expect(before).toBe(400);
    // 400 within 20 s are two in a step of 100 ms; with a quarter more, three.
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(30);
    expect(perSecond.filter((count) => count > 0).length).toBeGreaterThan(15);
  });

  it('one that ended before is forgotten, and nothing waits for it', async () => {
    await start();
    const client = await harness.subscriber('rooms.1');
    client.drop();
    await pass(1_000);
    expect(harness.engine['parts'].rotation['due'].size).toBe(0);
    await harness.subscriber('rooms.1');
    await pass(AGE_MS * 1.1);
    expect(harness.engine['parts'].rotation['leaving'].size).toBe(0);
    expect(harness.engine['parts'].rotation['timer']).toBeUndefined();
  });

  it('are left to a drain where one begins', async () => {
    await start();
    const client = await harness.subscriber('rooms.1');
    harness.engine.beginDrain();
    await pass(AGE_MS * 1.1);
    expect(byeOf(client)).toBeUndefined();
    expect(client.closed).toBeUndefined();
  });

  it('do not exist unless a longest age is set', async () => {
    await start(0);
    const client = await harness.subscriber('rooms.1');
    await pass(2 * AGE_MS);
    expect(byeOf(client)).toBeUndefined();
    expect(client.closed).toBeUndefined();
  });
});
