import { describe, expect, it } from '@jest/globals';
import type { Partition } from '../../../../lib/brokers/machine/partition.js';
import type { Genesis, Mark } from '../../../../lib/brokers/machine/commands.js';
import { append, readerOf, restoredOf, ROOMY, Writer } from './kit.js';

const DAY_MS = 24 * 60 * 60_000;
const content = (writer: string, n: number, ...commands: readonly unknown[]) => ({
  writer,
  n,
  incarnation: ROOMY.incarnation,
  commands,
});

describe('Partition: which records count', () => {
  it('a record that is sent again is skipped, also where it comes late or out of order', () => {
    const writer = new Writer();
    const first = writer.write(append('a', 'x'));
    writer.write(append('a', 'y'));
    writer.put(first.content);
    writer.put(content('w2', 7, append('a', 'z')));
    writer.put(content('w2', 5, append('a', 'late')));
    const { partition, outcomes } = readerOf(writer.records);
    expect(outcomes.map((outcome) => (outcome.applied ? 'applied' : outcome.why))).toEqual([
      'applied',
      'applied',
      'applied',
      'repeated',
      'applied',
      'repeated',
    ]);
    expect(partition.machine.positionOf('a').seq).toBe(3);
    expect(partition.position).toBe(5);
  });

  it('a writer is remembered for a day of machine time after its last record, and no longer', () => {
    const writer = new Writer();
    writer.put(content('w2', 5, append('a', 'x')));
    for (let minute = 1; minute < DAY_MS / 60_000; minute += 1) writer.pass(60_000).write({ kind: 'tick' });
    writer.pass(59_999).put(content('w2', 5, append('a', 'y')));
    writer.pass(1).put(content('w2', 5, append('a', 'z')));
    const { outcomes } = readerOf(writer.records);
    expect(outcomes.at(-2)).toEqual({ applied: false, why: 'repeated' });
    expect(outcomes.at(-1)?.applied).toBe(true);
  });

  it('a record that is meant for a log of the same name that was deleted is skipped, and so are other bytes', () => {
    const writer = new Writer();
    writer.put({ ...content('w2', 1, append('a', 'x')), incarnation: 'log0' });
    writer.put(undefined);
    const { outcomes, partition } = readerOf(writer.records);
    expect(outcomes.slice(1)).toEqual([
      { applied: false, why: 'other_log' },
      { applied: false, why: 'foreign' },
    ]);
    expect(partition.machine.size).toBe(0);
    // Its writer is none of this log: the same numbers count here.
    writer.put(content('w2', 1, append('a', 'x')));
    expect(partition.apply(writer.records.at(-1) as (typeof writer.records)[number], 0).applied).toBe(true);
  });

  it('nothing counts before the genesis', () => {
    const writer = new Writer();
    const [genesis] = writer.records.splice(0);
    writer.put(content('w2', 1, append('a', 'x')));
    writer.put(genesis?.content);
    writer.put(content('w2', 1, append('a', 'x')));
    const { outcomes } = readerOf(writer.records);
    expect(outcomes.map(({ applied }) => applied)).toEqual([false, true, true]);
  });

  it('what is no command is skipped and counted, and the commands beside it are applied', () => {
    const hostile: readonly unknown[] = [
      null,
      5,
      'append',
      [],
      {},
      { kind: 'toString' },
      { kind: '__proto__' },
      { kind: 'append' },
      { kind: 'append', requests: [{ channel: 'a' }] },
      { kind: 'append', requests: [{ ...append('a', 'x').requests[0], bytes: -1 }] },
      { kind: 'append', requests: [{ ...append('a', 'x').requests[0], policy: { retain: true } }] },
      { kind: 'enter', entry: { channel: 'a' }, leaseMs: 5 },
      { kind: 'enter', entry: { channel: 'a', member: 'm', device: 'd', generation: 1 }, leaseMs: -5 },
      { kind: 'erase', channel: 'a', seqs: [1.5] },
      { kind: 'control', message: { kind: 'ban' } },
      { kind: 'control', message: { kind: 'restrict', act: 'mute' } },
      { kind: 'control', message: { kind: 7 } },
      { kind: 'hello', node: 'n', marks: [{ offset: 'x', digest: '' }] },
      { kind: 'heartbeat', node: 'n', leaseMs: 5, versions: ['1'] },
    ];
    const writer = new Writer();
    writer.write(...hostile, append('a', 'x'));
    const { partition, last } = readerOf(writer.records);
    expect(last?.applied === true && last.outcomes.map((one) => ('code' in one ? one.code : 'ok'))).toEqual([
      ...hostile.map(() => 'skipped'),
      'ok',
    ]);
    expect(partition.skipped).toBe(hostile.length);
    expect(partition.machine.positionOf('a').seq).toBe(1);
    expect(partition.machine.size).toBe(1);
  });
});

describe('Partition: machine time', () => {
  const ended = (...steps: readonly number[]) => {
    const writer = new Writer();
    writer.write({
      kind: 'enter',
      entry: { channel: 'a', member: 'ada', device: 'd', generation: 1 },
      leaseMs: 100_000,
    });
    for (const step of steps) writer.pass(step).write({ kind: 'tick' });
    return readerOf(writer.records).partition.machine.members('a', 0, 9).count === 0;
  };

  it('moves on by the time between two records, of any writers', () => {
    expect([ended(50_000, 49_999), ended(50_000, 50_000)]).toEqual([false, true]);
  });

  it('a clock of the log that goes back counts nothing, and what it then goes forward counts again', () => {
    expect(ended(50_000, -40_000, 49_999)).toBe(false);
    expect(ended(50_000, -40_000, 50_000)).toBe(true);
  });

  it('a clock of the log that jumps ahead moves it on by a minute at most', () => {
    expect([ended(3_600_000), ended(3_600_000, 39_999), ended(3_600_000, 40_000)]).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('events carry the time of their record, and transitions the time at which the thing ended', () => {
    const writer = new Writer();
    const hold = { channel: 'a', holder: 'n1', generation: 1 };
    const { timeMs } = writer.write(append('a', 'x'), { kind: 'hold', holds: [hold], leaseMs: 1_000 });
    writer.pass(5_000).write({ kind: 'take', node: 'n1', limit: 9 });
    const { partition, last } = readerOf(writer.records);
    expect(partition.machine.read({ channel: 'a', from: 1, limit: 1 }).events[0]?.ts).toBe(timeMs);
    expect(last).toMatchObject({
      outcomes: [
        {
          transitions: [
            { held: true, at: timeMs },
            { held: false, at: timeMs + 1_000 },
          ],
        },
      ],
    });
  });

  it('a ban ends by the time of the records, and not by machine time', () => {
    const writer = new Writer();
    const { timeMs } = writer.write({
      kind: 'control',
      message: { kind: 'ban', user: 'eve', forMs: 3_600_000 },
    });
    writer.pass(3_599_999).write({ kind: 'tick' });
    const { machine } = readerOf(writer.records).partition;
    expect(machine.restrictionsInForce(timeMs + 3_599_999)).toEqual([{ kind: 'ban', user: 'eve', forMs: 1 }]);
    expect(machine.restrictionsInForce(timeMs + 3_600_000)).toEqual([]);
  });
});

describe('Partition: restrictions', () => {
  it('a ban for abuse is handed over with what is left of it, and not after its end', () => {
    const writer = new Writer();
    const { timeMs } = writer.write({
      kind: 'control',
      message: { kind: 'abuse', of: 'user', id: 'mal', forMs: 10_000 },
    });
    const { machine } = readerOf(writer.records).partition;
    expect(machine.restrictionsInForce(timeMs + 9_999)).toMatchObject([{ id: 'mal', forMs: 1 }]);
    expect(machine.restrictionsInForce(timeMs + 10_000)).toEqual([]);
  });
});

describe('Partition: genesis and versions', () => {
  const other = (change: Partial<Genesis>): Genesis => ({ ...ROOMY, ...change });

  it.each([
    ['layout', other({ layout: 2 })],
    ['partitions', other({ partitions: 9 })],
    ['hash', other({ hash: 'crc32' })],
    ['maxIdBytes', other({ settings: { ...ROOMY.settings, maxIdBytes: 5_000 } })],
  ])('a node that has another %s than the log stops, and says which', (differs, genesis) => {
    const writer = new Writer();
    writer.write(append('a', 'x'));
    const { partition, outcomes } = readerOf(writer.records, genesis);
    expect(outcomes[0]).toMatchObject({ outcomes: [{ ok: false, code: 'mismatch', differs }] });
    expect(partition.stopped).toBe('settings');
    expect(outcomes[1]).toEqual({ applied: false, why: 'stopped' });
  });

  it('a later genesis changes nothing: only its own writer learns that it differs', () => {
    const writer = new Writer();
    writer.write({ kind: 'genesis', ...ROOMY }, { kind: 'genesis', ...other({ partitions: 9 }) });
    writer.write(append('a', 'x'));
    const { partition, outcomes } = readerOf(writer.records);
    expect(outcomes[1]).toEqual({
      applied: true,
      outcomes: [{ ok: true }, { ok: false, code: 'mismatch', differs: 'partitions' }],
    });
    expect([partition.stopped, outcomes[2]?.applied]).toEqual([undefined, true]);
  });

  it('a version is activated when every node with a lease runs it; a node that cannot run it stops', () => {
    const beat = (node: string, ...versions: readonly number[]) => ({
      kind: 'heartbeat',
      node,
      leaseMs: 10_000,
      versions,
    });
    const writer = new Writer();
    writer.write(beat('n1', 1, 2), beat('n2', 1), { kind: 'activate', version: 2 });
    writer.pass(9_999).write(beat('n1', 1, 2), { kind: 'activate', version: 2 });
    const { partition, outcomes } = readerOf(writer.records);
    const refused = { ok: false, code: 'not_ready', nodes: ['n2'] };
    expect(outcomes[1]).toMatchObject({ outcomes: [{}, {}, refused] });
    expect(outcomes[2]).toMatchObject({ outcomes: [{}, refused] });
    expect([partition.version, partition.stopped]).toEqual([1, undefined]);
    writer.pass(1).write({ kind: 'activate', version: 2 });
    expect(partition.apply(writer.records[3] as (typeof writer.records)[number], 0)).toMatchObject({
      outcomes: [{ ok: true }],
    });
    expect([partition.version, partition.stopped]).toEqual([2, 'version']);
    // So does one that starts from a checkpoint of such a node.
    expect(restoredOf(partition, writer.records, ROOMY).stopped).toBe('version');
  });
});

describe('Partition: a log that lost its end (G6)', () => {
  /** Whether a position is one of the log of `a`. */
  const isTrue = (partition: Partition, epoch: string, seq: number) =>
    partition.machine.read({ channel: 'a', epoch, from: seq + 1, limit: 1 }).continuous;

  it('a new term without loss keeps every position, of logs that were not used since and not written too', () => {
    const writer = new Writer();
    writer.write(append('a', 'x', 'y'), append('b', 'x'));
    const { partition } = readerOf(writer.records);
    const [a, b, never] = ['a', 'b', 'never'].map((name) => partition.machine.positionOf(name));
    for (const term of [1, 4, 5]) {
      const record = writer.begin(term).write(append('b', `in${term}`));
      partition.apply(record, 0);
    }
    const { machine } = partition;
    expect(machine.positionOf('a')).toEqual({ epoch: `${a?.epoch}.5`, seq: 2 });
    for (const epoch of [a?.epoch ?? '', `${a?.epoch}.1`, `${a?.epoch}.4`])
      expect([1, 2, 3].map((seq) => isTrue(partition, epoch, seq))).toEqual([true, true, false]);
    expect(isTrue(partition, `${a?.epoch}.2`, 1)).toBe(false);
    const read = (channel: string, epoch = '', from = 1) => machine.read({ channel, epoch, from, limit: 9 });
    expect(read('b', b?.epoch, 2)).toMatchObject({ continuous: true, tip: { seq: 4 } });
    expect(read('b', b?.epoch, 3).continuous).toBe(false);
    // Events of all terms are read under the present one (P14).
    expect(new Set(read('b', b?.epoch).events.map(({ epoch }) => epoch))).toEqual(
      new Set([machine.positionOf('b').epoch]),
    );
    expect(read('never', never?.epoch).continuous).toBe(true);
    expect(read('never', never?.epoch, 2).continuous).toBe(false);
  });

  it.each([
    [0, []],
    [2, [1, 2]],
    [3, [1, 2, 3]],
    [4, [1, 2, 3]],
  ])('a cut after %i keeps exactly the events up to there, and what they weigh', (keep, expected) => {
    const writer = new Writer();
    writer.write(append('a', 'x', 'y', 'z'), { kind: 'cut', channel: 'a', keep });
    const { machine } = readerOf(writer.records).partition;
    const { events, oldest, tip } = machine.read({ channel: 'a', from: 1, limit: 9 });
    expect([events.map(({ seq }) => seq), oldest, tip.seq]).toEqual([expected, 1, expected.length]);
    const kept = new Writer();
    if (expected.length > 0) kept.write(append('a', ...['x', 'y', 'z'].slice(0, expected.length)));
    const same = readerOf(kept.records).partition.machine;
    expect([machine.bytes, machine.idBytes]).toEqual([same.bytes, same.idBytes]);
  });

  it('after many terms, eight earlier epochs are true, whether a reader looked in each term or only now', () => {
    const writer = new Writer();
    writer.write(append('a', 'x'));
    const [idle, busy] = [readerOf(writer.records).partition, readerOf(writer.records).partition];
    const epochs: string[] = [];
    for (let term = 1; term <= 12; term += 1) {
      epochs.push(busy.machine.positionOf('a').epoch);
      const record = writer.begin(term).write({ kind: 'tick' });
      for (const partition of [idle, busy]) partition.apply(record, 0);
    }
    for (const partition of [idle, busy])
      expect(epochs.map((epoch) => isTrue(partition, epoch, 1))).toEqual([
        ...Array.from({ length: 4 }, () => false),
        ...Array.from({ length: 8 }, () => true),
      ]);
  });

  /** Two readers: one has read what the log lost, one has not. */
  const torn = (kept: number, lost: number, since: number) => {
    const [writer, gone] = [new Writer(), new Writer()];
    const both = (count: number, name: string) => {
      for (let index = 0; index < count; index += 1)
        for (const each of [writer, gone]) each.pass(10).write(append('a', `${name}${index}`));
    };
    both(kept, 'kept');
    for (let index = 0; index < lost; index += 1) gone.pass(10).write(append('a', `lost${index}`));
    for (let index = 0; index < since; index += 1) writer.pass(10).write(append('a', `since${index}`));
    const ahead = readerOf(gone.records).partition;
    const reader = readerOf(writer.records).partition;
    const said = (marks: readonly Mark[]) => {
      const record = writer.pass(10).write({ kind: 'hello', node: 'n1', marks });
      return reader.apply(record, 0);
    };
    return { ahead, reader, said };
  };

  it.each([
    ['whose place is ahead of the log', 20, 10, 5],
    ['whose place is at the hello itself', 20, 4, 3],
    ['whose place the log has passed again', 20, 10, 25],
    ['who read more than is remembered one by one', 20, 1_300, 1_400],
  ])(
    'a hello of a node %s begins a term: its positions are true up to the loss',
    (_what, kept, lost, since) => {
      const { ahead, reader, said } = torn(kept, lost, since);
      const { epoch } = ahead.machine.positionOf('a');
      expect(said(ahead.marks())).toMatchObject({ outcomes: [{ ok: true, lostAfter: 0 }] });
      const wrong = Array.from({ length: lost }, (_, index) => kept + 1 + index);
      expect(wrong.filter((seq) => isTrue(reader, epoch, seq))).toEqual([]);
      const position = reader.machine.positionOf('a');
      expect(position).toEqual({ epoch: `${epoch}.1`, seq: kept + since });
      expect(isTrue(reader, position.epoch, position.seq)).toBe(true);
    },
  );

  it('positions that all agreeing marks are after stay true', () => {
    const { ahead, reader, said } = torn(600, 30, 30);
    const { epoch } = ahead.machine.positionOf('a');
    const outcome = said(ahead.marks());
    expect(outcome).toMatchObject({ outcomes: [{ lostAfter: 511 }] });
    // Record 511 has event 511; its own time is shared by nothing before it.
    expect([510, 511, 512].map((seq) => isTrue(reader, epoch, seq))).toEqual([true, false, false]);
  });

  it.each([0, 1, 300, 1_100])(
    'a node that is %i records behind, and has read nothing else, begins no term',
    (behind) => {
      const { reader, said } = torn(300, 0, behind);
      const late = torn(300, 0, 0).reader;
      expect(said(late.marks())).toEqual({ applied: true, outcomes: [{ ok: true }] });
      expect(reader.machine.term).toBe(0);
      expect(said([])).toEqual({ applied: true, outcomes: [{ ok: true }] });
    },
  );

  it('a node whose log has nothing in common with this one loses all positions', () => {
    const { reader, said } = torn(10, 0, 0);
    const { epoch } = reader.machine.positionOf('a');
    expect(said([{ offset: 5, digest: 'other' }])).toMatchObject({ outcomes: [{ lostAfter: -1 }] });
    expect(isTrue(reader, epoch, 1)).toBe(false);
    expect(isTrue(reader, epoch, 0)).toBe(true);
  });
});
