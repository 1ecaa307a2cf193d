import { describe, expect, it } from '@jest/globals';
import type { Partition } from '../../../../lib/brokers/machine/partition.js';
import { readerOf, restoredOf, ROOMY, Writer } from './kit.js';

const entry = { channel: 'a', member: 'ada', device: 'd', generation: 1 };
const hold = { channel: 'a', holder: 'n1', generation: 1 };
const beat = { kind: 'heartbeat', node: 'n1', leaseMs: 10_000, versions: [1] };
const leased = { leaseMs: 5_000, node: 'n1' };
const tick = { kind: 'tick' };

/** A node that entered and held something when its lease had just begun, and what was there at the end. */
function after(...writes: readonly (readonly [ms: number, command: unknown])[]) {
  const writer = new Writer();
  writer.write(beat, { kind: 'enter', entry, ...leased }, { kind: 'hold', holds: [hold], ...leased });
  for (const [ms, command] of writes) writer.pass(ms).write(command);
  const { partition } = readerOf(writer.records);
  return { writer, partition, there: thereIn(partition) };
}

function thereIn(partition: Partition): readonly [members: number, held: boolean] {
  const { machine } = partition;
  const at = { now: machine.time, ts: 0, local: 0, place: 0 };
  const taken = machine.apply({ kind: 'take', node: 'n9', limit: 99 }, at);
  const held = 'transitions' in taken && taken.transitions.at(-1)?.held === true;
  return [machine.members('a', 0, 9).count, held];
}

describe('leases of nodes', () => {
  it('what a node keeps ends its grace after the lease of the node', () => {
    expect(after([14_999, tick]).there).toEqual([1, true]);
    expect(after([15_000, tick]).there).toEqual([0, false]);
  });

  it('a heartbeat renews all that the node keeps', () => {
    expect(after([9_999, beat], [14_999, tick]).there).toEqual([1, true]);
    expect(after([9_999, beat], [15_000, tick]).there).toEqual([0, false]);
  });

  it('a heartbeat never brings an end forward', () => {
    const short = { ...beat, leaseMs: 1 };
    expect(after([0, short], [14_999, tick]).there).toEqual([1, true]);
    // Nor what the lease still keeps others from: an older generation of the holder.
    const older = { kind: 'hold', holds: [{ ...hold, generation: 0 }], leaseMs: 60_000 };
    expect(after([0, short], [6_000, older], [9_000, tick]).there).toEqual([0, false]);
  });

  it('a heartbeat after the lease has ended renews nothing, and says that the node is new', () => {
    const { writer, there } = after([10_000, beat], [5_000, tick]);
    expect(there).toEqual([0, false]);
    const { outcomes } = readerOf(writer.records);
    expect(outcomes[1]).toMatchObject({ outcomes: [{ isNew: true }, {}, {}] });
    expect(outcomes[2]).toMatchObject({ outcomes: [{ isNew: true }] });
    expect(readerOf(after([9_999, beat]).writer.records).last).toMatchObject({
      outcomes: [{ isNew: false }],
    });
  });

  it('what is renewed after that is kept by the new lease', () => {
    const renew = { kind: 'renew', entries: [entry], ...leased };
    expect(after([10_000, beat], [0, renew], [14_999, tick]).there[0]).toBe(1);
  });

  it('a goodbye begins the graces at once', () => {
    const bye = { kind: 'goodbye', node: 'n1' };
    expect(after([2_000, bye], [4_999, tick]).there).toEqual([1, true]);
    expect(after([2_000, bye], [5_000, tick]).there).toEqual([0, false]);
  });

  it('a goodbye ends that the node is the consumer of transitions', () => {
    const take = (node: string) => ({ kind: 'take', node, limit: 9 });
    const { writer } = after(
      [0, take('n1')],
      [0, take('n2')],
      [0, { kind: 'goodbye', node: 'n1' }],
      [0, take('n2')],
    );
    const taken = readerOf(writer.records).outcomes.flatMap((outcome) =>
      outcome.applied
        ? outcome.outcomes.flatMap((one) => ('transitions' in one ? [one.transitions.length] : []))
        : [],
    );
    expect(taken).toEqual([1, 0, 1]);
  });

  it('with a node that has no lease, something lasts as long as it was said to', () => {
    const writer = new Writer();
    writer.write({ kind: 'enter', entry, ...leased });
    writer.pass(4_999).write(tick);
    expect(readerOf(writer.records).partition.machine.members('a', 0, 9).count).toBe(1);
    writer.pass(1).write(tick);
    expect(readerOf(writer.records).partition.machine.members('a', 0, 9).count).toBe(0);
  });

  it.each([9_999, 10_000])(
    'what is kept by a lease ends at the same time after a checkpoint (made after %i ms)',
    (ms) => {
      const { writer, partition } = after([ms, tick]);
      const restored = restoredOf(partition, writer.records, ROOMY);
      const members = [14_999 - ms, 1].map((step) => {
        const record = writer.pass(step).write(tick);
        return restored.apply(record, 0).applied && restored.machine.members('a', 0, 9).count;
      });
      expect(members).toEqual([1, 0]);
    },
  );

  it('a device that is leaving stays leaving after a checkpoint, whatever renews it', () => {
    const { writer, partition } = after([0, { kind: 'leave', entry, graceMs: 3_000 }]);
    const restored = restoredOf(partition, writer.records, ROOMY);
    for (const [ms, command] of [
      [0, { kind: 'renew', entries: [entry], ...leased }],
      [2_999, tick],
    ] as const)
      restored.apply(writer.pass(ms).write(command), 0);
    expect(restored.machine.members('a', 0, 9).count).toBe(1);
    restored.apply(writer.pass(1).write(tick), 0);
    expect(restored.machine.members('a', 0, 9).count).toBe(0);
  });

  it('the nodes with a lease are listed in the order in which they came', () => {
    const writer = new Writer();
    writer.write({ ...beat, node: 'n2' }, beat, { ...beat, node: 'n3', leaseMs: 1 });
    writer.pass(1).write(tick);
    const { machine } = readerOf(writer.records).partition;
    expect(machine.liveNodes().map(({ id }) => id)).toEqual(['n2', 'n1']);
  });
});
