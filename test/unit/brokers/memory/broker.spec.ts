import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { append, kit, type Kit } from './kit.js';
import { activeOf, restrictionsKeptIn } from './recount.js';

describe('memoryBroker', () => {
  let made: Kit | undefined;
  const open = async () => (made = await kit());
  afterEach(() => made?.broker.close());

  it('can be used without options', async () => {
    const broker = memoryBroker();
    await broker.start(new RecordingListener());
    await broker.log.subscribe('a');
    expect(await broker.log.appendMany([append('a', 'x')])).toMatchObject([
      { ok: true, position: { seq: 1 } },
    ]);
    await broker.close();
  });

  it.each([
    { maxBytes: 0 },
    { maxBytes: 65_535 },
    { maxIdBytes: 0 },
    { maxIdBytes: 65_537, maxBytes: 65_536 },
    { idShare: 0 },
    { idShare: 1.01 },
    { maxIdleChannels: -1 },
    { headMs: Number.NaN },
    { sweepMs: 0 },
    { controlTimeoutMs: 0 },
  ])('refuses %j and names the option', (options) => {
    expect(() => memoryBroker(options)).toThrow(RangeError);
    expect(() => memoryBroker(options)).toThrow(`memoryBroker: \`${Object.keys(options)[0] ?? ''}\``);
  });

  it('refuses the options of a store beside a store, and says where they belong', () => {
    const store = new MemoryStore();
    expect(() => memoryBroker({ store, maxIdBytes: 5, clock: new ManualClock() })).toThrow(
      /clock, maxIdBytes|maxIdBytes, clock/,
    );
    expect(() => memoryBroker({ store, maxIdBytes: 5 })).toThrow('new MemoryStore()');
  });

  it('answers `unavailable` before it is started (G21)', async () => {
    const broker = memoryBroker();
    for (const call of [
      broker.log.appendMany([append('a', 'x')]),
      broker.log.tips(['a']),
      broker.probe(10),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'unavailable' });
    }
    await broker.close();
  });

  it('starts only once, and not after it was closed', async () => {
    const { broker } = await open();
    await expect(broker.start(new RecordingListener())).rejects.toThrow('started once');
    await broker.close();
    await expect(broker.start(new RecordingListener())).rejects.toThrow('started once');
    const never = memoryBroker();
    await never.close();
    await expect(never.start(new RecordingListener())).rejects.toThrow('started once');
  });

  it('shares nothing with another broker without a common store', async () => {
    const [left, right] = [memoryBroker(), memoryBroker()];
    const seen = new RecordingListener();
    await left.start(new RecordingListener());
    await right.start(seen);
    await right.log.subscribe('a');
    await left.log.appendMany([append('a', 'x')]);
    expect(seen.batches).toEqual([]);
    expect(await right.log.tips(['a'])).toMatchObject([{ seq: 0 }]);
    await Promise.all([left.close(), right.close()]);
  });

  it('reports a node that closes while a record waits for it as missing at once (G11)', async () => {
    const { broker, seen, node } = await open();
    const second = await node();
    second.seen.controlHook = () => new Promise(() => undefined);
    const receipt = broker.bus.control({ kind: 'revoke', user: 'u' });
    await second.broker.close();
    expect((await receipt).missing).toHaveLength(1);
    expect(seen.controls).toHaveLength(1);
  });

  it('resolves the receipt of a node that closes while it waits, and leaves no timer (G11, G18)', async () => {
    const { broker, clock, node } = await open();
    const second = await node();
    second.seen.controlHook = () => new Promise(() => undefined);
    const receipt = broker.bus.control({ kind: 'revoke', user: 'u' });
    await broker.close();
    expect((await receipt).missing).toHaveLength(2 - (await receipt).confirmed.length);
    await second.broker.close();
    expect(clock.pending).toBe(0);
  });

  it('does not count a confirmation after the time-out (G11)', async () => {
    const { broker, clock, seen } = await open();
    let apply: () => void = () => undefined;
    seen.controlHook = () => new Promise((resolve) => (apply = resolve));
    const receipt = broker.bus.control({ kind: 'revoke', user: 'u' });
    clock.advance(5_000);
    apply();
    await settle();
    expect(await receipt).toEqual({ confirmed: [], missing: [expect.any(String)] });
    expect(clock.pending).toBe(0);
  });

  it('forgets bans that have ended (G16)', async () => {
    const { broker, clock, store } = await open();
    for (let index = 0; index < 1_000; index += 1) {
      await broker.bus.control({ kind: 'ban', user: `u${index}`, forMs: 10 });
      clock.advance(1);
    }
    expect(restrictionsKeptIn(store)).toBeLessThanOrEqual(100);
  });

  it('forgets restrictions that have ended (G30)', async () => {
    const { broker, clock, store } = await open();
    for (let index = 0; index < 1_000; index += 1) {
      const whom = { of: 'user', id: `u${index}` } as const;
      await broker.bus.control({ kind: 'restrict', act: 'mute', whom, forMs: 10 });
      clock.advance(1);
    }
    expect(restrictionsKeptIn(store)).toBeLessThanOrEqual(100);
  });

  it('keeps the newest bans for abuse for nodes that start later, and all of administrators (G16)', async () => {
    const { broker, node } = await open();
    const forMs = 60_000;
    await broker.bus.control({ kind: 'ban', user: 'banned', forMs });
    const ban = (id: string) => broker.bus.control({ kind: 'abuse', of: 'user', id, forMs });
    await ban('old');
    await ban('again');
    for (let index = 0; index < 9_999; index += 1) await ban(`u${index}`);
    const late = await node();
    expect(late.seen.controls).toHaveLength(10_001);
    expect(late.seen.controls[0]).toMatchObject({ kind: 'ban', user: 'banned' });
    expect(late.seen.controls[1]).toMatchObject({ kind: 'abuse', id: 'again' });
    await late.broker.close();
  });

  it('queues a probe that a listener starts, and ends it on `close` (G20)', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    let waiting: Promise<number> | undefined;
    seen.eventsHook = () => void (waiting ??= broker.probe(1_000));
    await broker.log.appendMany([append('a', '1')]);
    expect(await waiting).toBe(0);

    let cut: Promise<unknown> | undefined;
    seen.eventsHook = () => {
      cut = broker.probe(1_000).catch((error: unknown) => error);
      void broker.close();
    };
    await broker.log.appendMany([append('a', '2')]);
    expect(await cut).toMatchObject({ code: 'unavailable' });
  });

  it('leaves no timer and no subscription after a probe (G20)', async () => {
    const { broker, clock, store } = await open();
    await broker.probe(1_000);
    // The sweep, for the head of the probe's channel.
    expect(clock.pending).toBe(1);
    expect(activeOf(store)).toBe(0);
  });

  it('keeps members while their only node restarts on the same store (G19)', async () => {
    const { broker, node, clock } = await open();
    await broker.presence.enter({ channel: 'a', member: 'u', device: 'd', generation: 1 }, 30_000);
    await broker.close();
    clock.advance(10_000);
    const second = await node();
    expect(await second.broker.presence.members('a', { limit: 9 })).toMatchObject({ count: 1 });
    await second.broker.log.subscribe('a');
    clock.advance(20_000);
    expect(second.seen.diffsOf('a').map((diff) => diff.leave)).toEqual([['u']]);
    await second.broker.close();
  });
});
