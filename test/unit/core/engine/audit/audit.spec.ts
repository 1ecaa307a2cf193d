import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TimeLeft } from '../../../../../lib/core/async/time-left.js';
import { Audit, type AuditDeps } from '../../../../../lib/core/engine/audit/audit.js';
import { KeptEntries } from '../../../../../lib/core/engine/audit/kept-entries.js';
import type { AuditEntry, AuditSink } from '../../../../../lib/core/ports/audit.js';
import { RealtimeError } from '../../../../../lib/protocol/realtime-error.js';
import { memoryBroker } from '../../../../../lib/brokers/memory/index.js';
import { channel, EngineHarness, quiet } from '../../../../support/engine/harness.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../../support/engine/seeded-entropy.js';

let clock: ManualClock;
let entries: AuditEntry[];
let logger: RecordingLogger;
let harness: EngineHarness | undefined;

beforeEach(() => {
  clock = new ManualClock();
  entries = [];
  logger = new RecordingLogger();
});
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

function auditOf(patch: Partial<AuditDeps> = {}): Audit {
  return new Audit({
    sinks: [{ write: (entry) => void entries.push(entry) }],
    refusalsPerMinute: 60,
    refusals: true,
    maxEntries: 1_000,
    maxBytes: 1_000_000,
    writeTimeoutMs: 1_000,
    nodeId: 'node-1',
    ipv6Prefix: 64,
    clock,
    entropy: new SeededEntropy(9),
    logger,
    ...patch,
  });
}

async function start(
  audit: Audit,
  channels = [channel('rooms.:room')],
  options: ConstructorParameters<typeof EngineHarness>[1] = {},
): Promise<EngineHarness> {
  harness = await EngineHarness.start(channels, { clock, ...options, observers: [audit.observer] });
  return harness;
}

/** Without what each entry has of its own. */
function facts(): unknown[] {
  return entries.map(({ id: _id, ts: _ts, node: _node, ...rest }) => rest);
}

describe('the audit of administrative acts', () => {
  it('has exactly one entry for each, with who, what, whom, why, when and the result (G26)', async () => {
    const { engine } = await start(auditOf());
    const receipt = await engine.ban('u1', { forMs: 60_000, reason: 'spam', by: 'admin' });
    expect(entries).toEqual([
      {
        id: expect.any(String) as unknown,
        ts: clock.now(),
        node: 'node-1',
        act: 'ban',
        by: 'admin',
        whom: { of: 'user', id: 'u1' },
        reason: 'spam',
        result: 'applied',
        receipt,
        data: { forMs: 60_000 },
      },
    ]);
    entries.length = 0;
    const everybody = { of: 'everybody', id: '' } as const;
    await engine.unban('u1', { by: 'admin' });
    await engine.disconnect('u1', { reason: 'left' });
    await engine.revoke('u1', 'rooms.1', { reason: 'left' });
    await engine.revoke('u1', 'rooms.:room');
    await engine.revoke('u1');
    await engine.reauthorize('u1', 'rooms.1');
    await engine.reauthorize();
    await engine.disconnectSessions('session', 's1');
    await engine.disconnectSessions('channel', 'rooms.1', { reason: 'closed' });
    await engine.disconnectSessions('address', '203.0.113.7');
    const mute = { act: 'mute', whom: { of: 'session', id: 'l1' }, channel: 'rooms.1' } as const;
    await engine.restrict({ ...mute, forMs: 1_000, reason: 'flood', by: 'admin' });
    await engine.lift(mute, { by: 'admin' });
    await engine.restrict({ act: 'slow', whom: everybody, channel: 'rooms.:room', everyMs: 5_000 });
    await engine.lift({ act: 'slow', whom: everybody, channel: 'rooms.:room' });
    await engine.restrict({ act: 'ban', whom: { of: 'address', id: '203.0.113.7' } });
    await engine.lift({ act: 'ban', whom: { of: 'address', id: '203.0.113.7' } });
    const done = { result: 'applied', receipt };
    const u1 = { of: 'user', id: 'u1' };
    expect(facts()).toEqual([
      { act: 'unban', by: 'admin', whom: u1, ...done },
      { act: 'disconnect', whom: u1, reason: 'left', ...done },
      { act: 'revoke', whom: u1, channel: 'rooms.1', reason: 'left', ...done },
      { act: 'revoke', whom: u1, channel: 'rooms.:room', ...done },
      { act: 'revoke', whom: u1, ...done },
      { act: 'reauthorize', whom: u1, channel: 'rooms.1', ...done },
      { act: 'reauthorize', whom: { of: 'everybody', id: '' }, ...done },
      { act: 'disconnect', whom: { of: 'session', id: 's1' }, ...done },
      { act: 'disconnect', whom: { of: 'everybody', id: '' }, channel: 'rooms.1', reason: 'closed', ...done },
      { act: 'disconnect', whom: { of: 'address', id: '203.0.113.7' }, ...done },
      { ...mute, reason: 'flood', by: 'admin', data: { forMs: 1_000 }, ...done },
      { ...mute, act: 'unmute', by: 'admin', ...done },
      { act: 'slow', whom: everybody, channel: 'rooms.:room', data: { everyMs: 5_000 }, ...done },
      { act: 'end_slow', whom: everybody, channel: 'rooms.:room', ...done },
      { act: 'ban', whom: { of: 'address', id: '203.0.113.7' }, ...done },
      { act: 'unban', whom: { of: 'address', id: '203.0.113.7' }, ...done },
    ]);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
  });

  it('tells what every node has done from what some have, and from what failed (G26)', async () => {
    const broker = memoryBroker({ clock, entropy: new SeededEntropy(2) });
    const control = broker.bus.control.bind(broker.bus);
    const { engine } = await start(auditOf(), undefined, { broker });
    broker.bus.control = () => Promise.resolve({ confirmed: ['node-1'], missing: ['node-2'] });
    await engine.unban('u1');
    broker.bus.control = () => Promise.reject(new RealtimeError('timeout', 'redis://:hunter2@host'));
    await expect(engine.unban('u1')).rejects.toThrow();
    broker.bus.control = () => Promise.reject(new Error('redis://:hunter2@host'));
    await expect(engine.unban('u1')).rejects.toThrow();
    broker.bus.control = control;
    expect(entries.map(({ result, error }) => [result, error])).toEqual([
      ['partial', undefined],
      ['failed', 'timeout'],
      ['failed', 'internal'],
    ]);
    expect(JSON.stringify(entries)).not.toContain('hunter2');
  });

  it('bounds the texts of the application', () => {
    const entry = auditOf().record({ act: 'x', reason: 'r'.repeat(5_000) });
    expect(entry.reason).toHaveLength(1_024);
    expect(Object.isFrozen(entry)).toBe(true);
  });

  it('hands each entry to every sink, also where one fails', () => {
    const failing: AuditSink = {
      name: 'down',
      write: () => {
        throw new Error('no');
      },
    };
    auditOf({ sinks: [failing, { write: (entry) => void entries.push(entry) }] }).record({ act: 'x' });
    expect(entries).toHaveLength(1);
  });
});

describe('the audit of what clients are refused', () => {
  const guarded = channel('rooms.:room', {
    behaviour: { authorize: { subscribe: () => false, publish: () => false } },
  });

  it('has who was forbidden what, without payloads (G23)', async () => {
    const { connect } = await start(auditOf(), [guarded]).then((started) => ({
      connect: (token: string) => started.greet(token),
    }));
    const client = await connect('user:u1');
    client.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 'secret-payload' });
    await quiet();
    expect(facts()).toEqual([
      {
        act: 'authorize',
        whom: { of: 'user', id: 'u1' },
        channel: 'rooms.1',
        result: 'refused',
        error: 'forbidden',
        data: { action: 'publish' },
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain('secret-payload');
  });

  it('has five entries of one client in a minute, and the number of the others at its end', async () => {
    const started = await start(auditOf(), [guarded]);
    const client = await started.greet('user:u1');
    const other = await started.greet('user:u2');
    for (let index = 0; index < 9; index++)
      client.send({ type: 'subscribe', id: `s${index}`, channel: 'rooms.1' });
    other.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    expect(entries.map(({ whom }) => whom?.id)).toEqual(['u1', 'u1', 'u1', 'u1', 'u1', 'u2']);
    await clock.advanceAsync(60_000);
    expect(facts().slice(6)).toEqual([
      { act: 'refusals', result: 'refused', data: { counts: { 'authorize subscribe rooms.:room': 4 } } },
    ]);
    entries.length = 0;
    await clock.advanceAsync(60_000);
    expect(entries).toEqual([]);
  });

  it('has no more than so many of all in a minute, and as many in the next', () => {
    const audit = auditOf({ refusalsPerMinute: 3 });
    const refuse = (ip: string): void => audit.observer.onRefusal?.('upgrade', 401, ip);
    for (let index = 0; index < 10; index++) refuse(`203.0.113.${index}`);
    expect(entries).toHaveLength(3);
    clock.advance(60_000);
    expect(entries.at(-1)?.data).toEqual({ counts: { 'connect upgrade 401': 7 } });
    refuse('203.0.113.1');
    expect(entries).toHaveLength(5);
  });

  it('counts each client and each kind from nothing in the next minute', () => {
    const audit = auditOf();
    const refuse = (times: number): void => {
      for (let index = 0; index < times; index++) audit.observer.onRefusal?.('upgrade', 401, '203.0.113.7');
    };
    refuse(7);
    clock.advance(60_000);
    refuse(6);
    clock.advance(60_000);
    const counts = entries.flatMap(({ act, data }) => (act === 'refusals' ? [data?.['counts']] : []));
    expect(counts).toEqual([{ 'connect upgrade 401': 2 }, { 'connect upgrade 401': 1 }]);
    expect(entries.filter(({ act }) => act === 'connect')).toHaveLength(10);
  });

  it('counts the addresses of one network as one client, and leaves out who only sends too much', () => {
    const audit = auditOf();
    for (let index = 0; index < 9; index++)
      audit.observer.onRefusal?.('hello', 'forbidden', `2001:db8::${index}`);
    expect(entries).toHaveLength(5);
    expect(entries[0]?.whom).toEqual({ of: 'address', id: expect.stringContaining('2001:db8:') as unknown });
    audit.observer.onRefusal?.('upgrade', 429, '203.0.113.9');
    audit.observer.onRefusal?.('upgrade', 503, '203.0.113.9');
    expect(entries).toHaveLength(5);
  });

  it('bounds the steps against spam as what clients are refused, and no act of anybody else', () => {
    const audit = auditOf({ refusalsPerMinute: 7 });
    const receipt = { confirmed: ['node-1'], missing: [] };
    const step = (user: string, more: object): void =>
      audit.observer.onAct?.({ kind: 'ban', user, forMs: 1_000, ...more }, receipt, undefined, 0);
    for (let index = 0; index < 8; index++) step('u1', { by: 'spam' });
    for (let index = 0; index < 8; index++) {
      const whom = { of: 'session', id: `s${index}` } as const;
      const act = { kind: 'restrict', act: 'mute', whom, forMs: 1_000, by: 'spam' } as const;
      audit.observer.onAct?.(act, undefined, new RealtimeError('unavailable'), 0);
    }
    expect(entries.map(({ act, whom }) => `${act} ${whom?.id}`)).toEqual([
      ...Array<string>(5).fill('ban u1'),
      'mute s0',
      'mute s1',
    ]);
    for (let index = 0; index < 8; index++) step('u1', { by: 'admin' });
    expect(entries).toHaveLength(15);
    clock.advance(60_000);
    expect(entries[15]?.data).toEqual({ counts: { 'spam ban': 3, 'spam mute': 6 } });
    step('u1', { by: 'spam' });
    expect(entries[16]).toMatchObject({ act: 'ban', by: 'spam', whom: { of: 'user', id: 'u1' }, receipt });
  });

  it('measures nothing where no refusals are wanted', () => {
    const { observer } = auditOf({ refusals: false });
    expect(Object.keys(observer)).toEqual(['onAct', 'onSpam']);
  });
});

describe('lists of the audit', () => {
  function kept(count: number): { audit: Audit; sink: KeptEntries } {
    const sink = new KeptEntries({ entries: 100, bytes: 1_000_000 });
    const audit = auditOf({ sinks: [{ write: () => undefined }, sink] });
    for (let index = 0; index < count; index++)
      audit.record({ act: index % 2 === 0 ? 'ban' : 'mute', by: 'a', whom: { of: 'user', id: `u${index}` } });
    return { audit, sink };
  }

  it('come from the first sink that can be read, newest first, in pages without overlap', async () => {
    const { audit } = kept(5);
    const first = await audit.list({}, { limit: 2 });
    expect(first.entries.map(({ whom }) => whom?.id)).toEqual(['u4', 'u3']);
    // What comes between two pages changes nothing.
    audit.record({ act: 'x' });
    const second = await audit.list({}, { limit: 2, cursor: first.more });
    expect(second.entries.map(({ whom }) => whom?.id)).toEqual(['u2', 'u1']);
    const third = await audit.list({}, { limit: 2, cursor: second.more });
    expect(third).toEqual({ entries: [expect.objectContaining({ whom: { of: 'user', id: 'u0' } })] });
  });

  it('have what the filter names', async () => {
    const { audit } = kept(6);
    const bans = await audit.list({ act: 'ban' }, { limit: 10 });
    expect(bans.entries.map(({ whom }) => whom?.id)).toEqual(['u4', 'u2', 'u0']);
    const one = await audit.list({ act: 'ban', whom: 'u2', by: 'a', result: 'applied' }, { limit: 10 });
    expect(one.entries).toHaveLength(1);
    expect((await audit.list({ by: 'b' }, { limit: 10 })).entries).toEqual([]);
    expect((await audit.list({ channel: 'rooms.1' }, { limit: 10 })).entries).toEqual([]);
    expect((await audit.list({ result: 'failed' }, { limit: 10 })).entries).toEqual([]);
  });

  it('keep the newest within their count and their bytes', async () => {
    const { audit, sink } = kept(5_000);
    expect(sink.size).toBe(100);
    const all = await audit.list({}, { limit: 1_000 });
    expect(all.entries.map(({ whom }) => whom?.id)).toEqual(
      Array.from({ length: 100 }, (_, index) => `u${4_999 - index}`),
    );
    expect(all.more).toBeUndefined();
    const small = new KeptEntries({ entries: 1_000, bytes: 2_000 });
    for (let index = 0; index < 50; index++) small.write(audit.record({ act: 'x' }));
    expect(small.size).toBeGreaterThan(1);
    expect(small.size).toBeLessThan(8);
    expect(small.read({ cursor: 'of another sink', limit: 10 })).toEqual({ entries: [] });
  });

  it('continue at a cursor from before many entries went', () => {
    const sink = new KeptEntries({ entries: 1_500, bytes: 10_000_000 });
    const audit = auditOf({ sinks: [sink] });
    const record = (from: number, to: number): void => {
      for (let index = from; index < to; index++) audit.record({ act: `a${index}` });
    };
    record(0, 1_500);
    const first = sink.read({ limit: 1 });
    expect(first.entries[0]?.act).toBe('a1499');
    record(1_500, 2_900);
    const second = sink.read({ limit: 1, cursor: first.more });
    expect(second.entries[0]?.act).toBe('a1498');
    record(2_900, 20_000);
    expect(sink.read({ limit: 1, cursor: second.more })).toEqual({ entries: [] });
  });

  it('fail with unavailable where no sink can be read, or the sink fails', async () => {
    await expect(auditOf().list({}, { limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    const failing: AuditSink = { write: () => undefined, read: () => Promise.reject(new Error('no')) };
    await expect(auditOf({ sinks: [failing] }).list({}, { limit: 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

describe('the end of the audit', () => {
  it('records the counts that are open, and logs what sinks did not take', async () => {
    const audit = auditOf({
      refusals: false,
      sinks: [
        { write: () => new Promise<void>(() => undefined) },
        { write: (entry) => void entries.push(entry) },
      ],
    });
    audit.record({ act: 'x' });
    const closing = audit.close(new TimeLeft(clock, 1_000));
    expect(audit.close(new TimeLeft(clock, 1_000))).toBe(closing);
    await clock.advanceAsync(1_000);
    await closing;
    expect(logger.at('error').at(-1)?.message).toContain('audit.sinks[0] did not take 1 entries');
    expect(entries).toHaveLength(1);
    const counting = auditOf({ refusalsPerMinute: 1 });
    counting.observer.onRefusal?.('upgrade', 401, '203.0.113.1');
    counting.observer.onRefusal?.('upgrade', 401, '203.0.113.2');
    await counting.close(new TimeLeft(clock, 1_000));
    expect(entries.at(-1)?.act).toBe('refusals');
    expect(clock.pending).toBe(0);
  });
});
