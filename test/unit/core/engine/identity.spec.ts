import { afterEach, describe, expect, it } from '@jest/globals';
import type { AbuseRecord } from '../../../../lib/core/ports/control.js';
import { AbuseBans } from '../../../../lib/core/engine/abuse-bans.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

let harness: EngineHarness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const settings = {
  limits: { ratePerSecond: 1, burst: 5 },
  abuse: { throttleAfter: 100, closeAfter: 10, windowMs: 60_000, banMs: 30_000 },
};

describe('the ban of a client without an address', () => {
  it('is none: behind a Unix socket all clients would be one (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], { settings });
    const hello = { type: 'hello', id: 'h', payload: { versions: [1] } };
    const [abuser, other] = [harness.connect({ ip: 'unknown' }), harness.connect({ ip: 'unknown' })];
    for (const connection of [abuser, other]) connection.send(hello);
    await quiet();
    abuser.send(...Array.from({ length: 20 }, (_, index) => ({ type: 'ping', id: `p${index}` })));
    expect(abuser.closed).toEqual({ code: 4807, reason: 'rate_abuse|0' });
    expect(other.closed).toBeUndefined();
    const next = harness.connect({ ip: 'unknown' });
    next.send(hello);
    await quiet();
    expect(next.closed).toBeUndefined();
  });
});

describe('records of abuse for other nodes (G16)', () => {
  function bansOf(control: (record: object) => Promise<never>) {
    const clock = new ManualClock();
    const applied: unknown[] = [];
    const sent: unknown[] = [];
    const warnings: string[] = [];
    const { ban } = new AbuseBans({
      applier: { apply: (record) => void applied.push(record) },
      bus: {
        control: (record) => {
          sent.push(record);
          return control(record);
        },
      },
      clock,
      journal: { warn: (_kind, message) => void warnings.push(message()) },
    });
    return { clock, applied, sent, warnings, ban };
  }
  const record = (index: number): AbuseRecord => ({
    kind: 'abuse',
    of: 'user',
    id: `u${index}`,
    forMs: 1_000,
  });

  it('are bounded in number: the rest is applied on this node alone, and said so', async () => {
    const bans = bansOf(() => new Promise(() => undefined));
    for (let index = 0; index < 101; index++) bans.ban(record(index));
    expect(bans.applied).toHaveLength(101);
    expect(bans.sent).toHaveLength(100);
    expect(bans.warnings).toEqual([expect.stringContaining('this node alone')]);
    bans.clock.advance(100);
    bans.ban(record(102));
    bans.ban(record(103));
    expect(bans.sent).toHaveLength(101);
    expect(bans.applied).toHaveLength(103);
  });

  it('that the broker rejects are applied here, and logged', async () => {
    const bans = bansOf(() => Promise.reject(new Error('away')));
    bans.ban(record(1));
    expect(bans.applied).toEqual([record(1)]);
    await quiet();
    expect(bans.warnings).toEqual([expect.stringContaining('away')]);
  });
});
