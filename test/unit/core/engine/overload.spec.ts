import { afterEach, describe, expect, it } from '@jest/globals';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { handshakeOf } from '../../../support/engine/handshake.js';
import { SetLoad, SHEDDING } from '../../../support/engine/overload.js';

const RETRY = ENGINE_DEFAULTS.retry;

describe('an overloaded node (G33, P34)', () => {
  let harness: EngineHarness;
  let load: SetLoad;
  let warnings: string[];
  let seen: string[];
  afterEach(() => harness.stop());

  async function start(limits: Record<string, number> = {}): Promise<void> {
    load = new SetLoad();
    warnings = [];
    seen = [];
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', { policy: { presence: {} } }),
        channel('prices.:pair', { policy: { priority: 'low' } }),
        channel('slow.:pair', { policy: { priority: 'low', overflow: 'drop-newest' } }),
        channel('live.:pair', {
          policy: { priority: 'low', log: { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 } },
        }),
      ],
      {
        shedding: { policy: SHEDDING, sampler: load },
        warnings,
        settings: {
          limits: { ...limits, ratePerSecond: 1_000, burst: 1_000 },
          heartbeat: { intervalMs: 1_000_000, timeoutMs: 1_000_000 },
        },
        observers: [
          {
            onOverload: (step, on, reason) => void seen.push(`${on ? '+' : '-'}${step}: ${reason}`),
            onGap: (pattern, reason, events) => void seen.push(`gap ${pattern} ${reason} ${events}`),
          },
        ],
      },
    );
  }

  /** Takes so many steps. */
  async function overload(steps: number): Promise<void> {
    load.late(500);
    for (let step = 0; step < steps; step++) await harness.clock.advanceAsync(step === 0 ? 3_000 : 2_000);
    expect(harness.engine['parts'].overload.steps).toBe(steps);
  }

  async function relieve(steps: number): Promise<void> {
    load.late(0);
    for (let step = 0; step < steps; step++) await harness.clock.advanceAsync(step === 0 ? 5_000 : 4_000);
  }

  /** The steps that are taken, as a client finds them. */
  async function answers(client: FakeConnection): Promise<string[]> {
    client.take();
    client.send(
      { type: 'history', id: 'history', channel: 'rooms.1', payload: {} },
      { type: 'presence', id: 'presence', channel: 'rooms.1', payload: {} },
      { type: 'presence_update', id: 'update', channel: 'rooms.1', payload: { data: 1 } },
      { type: 'signal', id: 'signal', channel: 'rooms.1', event: 'typing' },
      { type: 'publish', id: `p${harness.clock.monotonic()}`, channel: 'rooms.1', event: 'said' },
      { type: 'ping', id: 'ping' },
    );
    await quiet();
    return client
      .take()
      .filter(({ type }) => type === 'error')
      .map(({ ref, payload }) => {
        expect(payload).toMatchObject({ code: 'unavailable', retryable: true });
        return `${ref} ${(payload as { retryAfterMs: number }).retryAfterMs >= 5_000}`;
      });
  }

  async function enter(ticket?: string): Promise<Refusal | undefined> {
    return harness.engine.host.enter(handshakeOf({ ip: '9.9.9.9' }), 0, ticket);
  }

  async function member(): Promise<FakeConnection> {
    const client = await harness.greet('user:ada');
    client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: { data: 0 } } });
    await quiet();
    return client;
  }

  const ticketOf = (client: FakeConnection): string =>
    (client.received.find(({ type }) => type === 'welcome')?.payload as { session: string }).session;

  it('gives up one thing after the other, and takes them up again in the reverse order', async () => {
    await start();
    const client = await member();
    const ticket = ticketOf(client);
    expect(await answers(client)).toEqual([]);
    expect(await enter()).toBeUndefined();

    await overload(1);
    expect(await enter()).toMatchObject({ status: 503, retryAfterMs: expect.any(Number) });
    expect(await enter(ticket)).toBeUndefined();
    expect(await answers(client)).toEqual([]);
    await harness.clock.advanceAsync(2_000);
    expect(await answers(client)).toEqual(['history true']);
    await harness.clock.advanceAsync(2_000);
    expect(await answers(client)).toEqual(['history true']);
    await harness.clock.advanceAsync(2_000);
    expect((await answers(client)).sort()).toEqual([
      'history true',
      'presence true',
      'signal true',
      'update true',
    ]);
    expect(harness.engine.status.shedding).toBe('presence');
    expect(harness.engine.stats().shedding).toBe('presence');

    await relieve(1);
    expect(await answers(client)).toEqual(['history true']);
    expect(harness.engine.status.shedding).toBe('low');
    await harness.clock.advanceAsync(8_000);
    expect(await answers(client)).toEqual([]);
    expect(await enter()).toMatchObject({ status: 503 });
    await harness.clock.advanceAsync(4_000);
    expect(await enter()).toBeUndefined();
    expect(harness.engine.status.shedding).toBeUndefined();
    expect(seen.map((line) => line.split(':')[0])).toEqual([
      '+connections',
      '+history',
      '+low',
      '+presence',
      '-presence',
      '-low',
      '-history',
      '-connections',
    ]);
    expect(seen[0]).toBe('+connections: event loop 500 ms late, 50 % of the memory, queue 0 ms old');
    expect(warnings.filter((line) => line.startsWith('This node is overloaded'))).toHaveLength(4);
    expect(warnings.filter((line) => line.startsWith('This node is relieved'))).toHaveLength(4);
  });

  it('keeps connections that are there, and acknowledges their publishes, at every step', async () => {
    await start();
    const client = await member();
    await overload(4);
    client.take();
    client.send(
      { type: 'ping', id: 'ping' },
      { type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said' },
      { type: 'subscribe', id: 's2', channel: 'rooms.2' },
    );
    await quiet();
    client.send({ type: 'unsubscribe', id: 'u2', channel: 'rooms.2' });
    await quiet();
    expect(
      client
        .take()
        .map(({ type, ref }) => `${type} ${ref}`)
        .sort(),
    ).toEqual(['event undefined', 'pong ping', 'reply p1', 'reply s2', 'reply u2']);
    expect(client.closed).toBeUndefined();
  });

  it('refuses fresh connections where no rate of them is set, too, for longer the more it gives up', async () => {
    await start({ nodeConnectsPerSecond: 0, nodeReturnsPerSecond: 0 });
    const ticket = ticketOf(await member());
    await overload(1);
    const first = (await enter())?.retryAfterMs ?? 0;
    expect(first).toBeGreaterThanOrEqual(5_000);
    expect(await enter(ticket)).toBeUndefined();
    expect(await enter('x')).toMatchObject({ status: 503 });
    await harness.clock.advanceAsync(6_000);
    expect((await enter())?.retryAfterMs).toBeGreaterThanOrEqual(20_000);
  });

  it('advises who is welcomed to come back over a longer time (P19)', async () => {
    await start();
    const retryOf = async () =>
      ((await harness.greet()).received[0]?.payload as { retry: typeof RETRY }).retry;
    expect(await retryOf()).toEqual(RETRY);
    await overload(2);
    expect(await retryOf()).toEqual({
      ...RETRY,
      baseMs: 3 * RETRY.baseMs,
      firstSpreadMs: 3 * RETRY.firstSpreadMs,
    });
  });

  it('delivers no signals of others while presence pauses', async () => {
    await start();
    const client = await member();
    client.take();
    const signal = () =>
      harness.broker.log.signal('rooms.1', { event: 'typing', payload: null, user: undefined });
    await overload(3);
    await signal();
    await quiet();
    expect(client.take('signal')).toHaveLength(1);
    await harness.clock.advanceAsync(2_000);
    await signal();
    await quiet();
    expect(client.take('signal')).toEqual([]);
  });

  it('is recognized by work that waits for its turn, though the event loop is on time', async () => {
    await start();
    const { turns } = harness.engine['parts'].admission['deps'].sessionDeps;
    const isOver = turns.turn.bind(turns);
    const waiting: (() => void)[] = [];
    turns.turn = () => new Promise((resolve) => void waiting.push(resolve));
    await harness.clock.advanceAsync(5_000);
    expect(harness.engine['parts'].overload.steps).toBe(1);
    expect(seen[0]).toMatch(/^\+connections: event loop 0 ms late, 50 % of the memory, queue \d{4} ms old$/);
    expect(waiting).toHaveLength(1);
    turns.turn = isOver;
    for (const resolve of waiting) resolve();
    await harness.clock.advanceAsync(12_000);
    expect(harness.engine['parts'].overload.steps).toBe(0);
  });

  it('measures nothing without the option, and nothing any more once it has stopped', async () => {
    await start();
    expect(load.running).toBe(true);
    await overload(3);
    await harness.subscriber('prices.eur');
    await harness.publish('prices.eur', 2);
    await harness.stop();
    expect(load.running).toBe(false);
    expect(harness.clock.pending).toBe(0);
  });

  describe('channels of low priority (P34c, P25)', () => {
    const brief = (client: FakeConnection) =>
      client
        .take()
        .filter(({ type }) => type !== 'ping')
        .map(({ type, seq, payload }) =>
          type === 'gap'
            ? `gap ${(payload as { from: number }).from}-${(payload as { to: number }).to}`
            : `${type} ${seq}`,
        );

    it('are sent what is newest once a second, behind one announcement; the others as ever', async () => {
      await start();
      const [low, other] = [await harness.subscriber('prices.eur'), await harness.subscriber('rooms.1')];
      await overload(3);
      for (let n = 0; n < 5; n++) await harness.publish('prices.eur', 2, { key: (index) => `k${index}` });
      await harness.publish('rooms.1', 3);
      expect(brief(other)).toEqual(['event 1', 'event 2', 'event 3']);
      expect(brief(low)).toEqual([]);
      await harness.clock.advanceAsync(999);
      expect(brief(low)).toEqual([]);
      await harness.clock.advanceAsync(1);
      await quiet();
      const [gap] = low.received.filter(({ type }) => type === 'gap');
      expect(gap).toMatchObject({ channel: 'prices.eur' });
      expect(gap?.payload).toEqual({ from: 1, to: 8, reason: 'conflated', partial: true, recoverable: true });
      expect(brief(low)).toEqual(['gap 1-8', 'event 9', 'event 10']);
      expect(seen.filter((line) => line.startsWith('gap'))).toEqual(['gap prices.:pair conflated 8']);
      await harness.publish('prices.eur', 1);
      await harness.clock.advanceAsync(1_000);
      await quiet();
      expect(brief(low)).toEqual(['event 11']);
      await harness.publish('prices.eur', 3);
      await harness.clock.advanceAsync(1_000);
      await quiet();
      expect(brief(low)).toEqual(['gap 12-13', 'event 14']);
      // What one announcement counted, the next one does not.
      expect(seen.at(-1)).toBe('gap prices.:pair conflated 2');
    });

    it('are sent at once what waited when the step ends, and each event from then on', async () => {
      await start();
      const low = await harness.subscriber('prices.eur');
      await overload(3);
      load.late(0);
      await harness.clock.advanceAsync(4_500);
      expect(harness.engine['parts'].overload.steps).toBe(3);
      await harness.publish('prices.eur', 2);
      await harness.clock.advanceAsync(499);
      expect(brief(low)).toEqual([]);
      await harness.clock.advanceAsync(1);
      await quiet();
      expect(harness.engine['parts'].overload.steps).toBe(2);
      expect(brief(low)).toEqual(['event 1', 'event 2']);
      await harness.publish('prices.eur', 2);
      expect(brief(low)).toEqual(['event 3', 'event 4']);
      expect(harness.clock.untilNext).toBeGreaterThan(0);
    });

    it('one without history says that what is missing cannot be read', async () => {
      await start();
      const low = await harness.subscriber('live.eur');
      await overload(3);
      await harness.publish('live.eur', 3);
      await harness.clock.advanceAsync(1_000);
      await quiet();
      expect(low.take('gap')[0]?.payload).toMatchObject({ from: 1, to: 2, recoverable: false });
    });

    it('who subscribes while events wait is sent those behind its position, and no gap of others', async () => {
      await start();
      const early = await harness.subscriber('prices.eur');
      await overload(3);
      await harness.publish('prices.eur', 3);
      const late = await harness.subscriber('prices.eur');
      await harness.publish('prices.eur', 2, { key: (index) => `k${index}` });
      const between = await harness.subscriber('prices.eur');
      await harness.publish('prices.eur', 2);
      const last = await harness.subscriber('prices.eur');
      await harness.clock.advanceAsync(1_000);
      await quiet();
      expect(brief(early)).toEqual(['gap 1-6', 'event 4', 'event 5', 'event 7']);
      expect(brief(late)).toEqual(['gap 4-6', 'event 4', 'event 5', 'event 7']);
      expect(brief(between)).toEqual(['gap 6-6', 'event 7']);
      expect(brief(last)).toEqual([]);
      await harness.publish('prices.eur', 1);
      await harness.clock.advanceAsync(1_000);
      await quiet();
      for (const one of [early, late, between, last]) expect(brief(one)).toEqual(['event 8']);
    });

    it('keep no more than a megabyte or a thousand events waiting (G13)', async () => {
      await start();
      const low = await harness.subscriber('prices.eur');
      await overload(3);
      for (let n = 0; n < 30; n++)
        await harness.publish('prices.eur', 100, { key: (index) => `k${n}.${index}` });
      const served = harness.engine['parts'].hub.find('prices.eur');
      expect(served?.pendingCount).toBeLessThanOrEqual(1_024);
      expect(served?.pendingCount).toBeGreaterThanOrEqual(512);
      await harness.clock.advanceAsync(1_000);
      await quiet();
      const lines = brief(low);
      expect(lines.at(-1)).toBe('event 3000');
      expect(lines[0]).toMatch(/^gap 1-\d+$/);
      expect(lines).toHaveLength(1 + 3_000 - Number(lines[0]?.split('-')[1]));
      for (let n = 0; n < 30; n++)
        await harness.publish('prices.eur', 1, { key: () => `k${n}`, size: 60_000 });
      expect(served?.['pendingBytes']).toBeLessThanOrEqual(1024 * 1024);
    });

    it.each(['prices.eur', 'slow.eur'])(
      'a client that does not read is queued no announcement a second: it continues from the log when it reads (%s)',
      async (name) => {
        await start();
        const low = await harness.subscriber(name);
        await overload(3);
        low.stall();
        for (let second = 0; second < 50; second++) {
          await harness.publish(name, 3);
          await harness.clock.advanceAsync(1_000);
        }
        await quiet();
        expect(low.closed).toBeUndefined();
        const session = [...harness.engine['parts'].sessions.all()][0];
        expect(session?.outbox.bufferedBytes).toBeLessThan(2_000);
        low.drain();
        await harness.clock.advanceAsync(1_000);
        await quiet();
        const lines = brief(low);
        expect(lines.at(-1)).toBe('event 150');
        expect(lines.length).toBeGreaterThan(100);
      },
    );

    it('an event that was erased while it waited is sent erased (G29)', async () => {
      await start();
      const low = await harness.subscriber('prices.eur');
      await overload(3);
      await harness.publish('prices.eur', 2, { key: (index) => `k${index}` });
      await harness.engine.erase('prices.eur', { seqs: [2] });
      await harness.clock.advanceAsync(1_000);
      await quiet();
      expect(low.take('event').map(({ seq, event }) => [seq, event])).toEqual([
        [1, 'said'],
        [2, '$erased'],
        [3, '$erased'],
      ]);
    });
  });
});
