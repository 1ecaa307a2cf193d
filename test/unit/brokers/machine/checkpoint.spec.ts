import { describe, expect, it } from '@jest/globals';
import { decodeCheckpoint, encodeCheckpoint } from '../../../../lib/brokers/machine/checkpoint.js';
import { Partition, type PartitionState } from '../../../../lib/brokers/machine/partition.js';
import { toWireValue } from '../../../../lib/protocol/wire-value.js';
import { append, readerOf, ROOMY, Writer } from './kit.js';

const entry = (data: unknown) => ({ channel: 'a', member: 'ada', device: 'd', generation: 1, data });

describe('a checkpoint as text', () => {
  it('is read as it was written: names of any characters, and bytes in the data of members', () => {
    const writer = new Writer();
    writer.write(append('a', 'x\ud800y', '\u{1f600}'), { kind: 'enter', entry: entry(null), leaseMs: 5_000 });
    const { partition } = readerOf(writer.records);
    const data = toWireValue({ key: new Uint8Array([1, 2, 255]) });
    const at = { now: partition.machine.time, ts: 0, local: 0, place: 0 };
    partition.machine.apply({ kind: 'update', entry: entry(data) }, at);
    const state = decodeCheckpoint(encodeCheckpoint(partition.save()));
    if (state === undefined) throw new Error('It was not read');
    const restored = Partition.restored(ROOMY, state);
    expect(restored.machine.members('a', 0, 9)).toEqual(partition.machine.members('a', 0, 9));
    const again = writer.write(append('a', 'x\ud800y'));
    expect(restored.apply(again, 0)).toEqual(partition.apply(again, 0));
  });

  it('is not read where a part is missing or changed, or the form is a later one', () => {
    const { partition } = readerOf(new Writer().records);
    const text = encodeCheckpoint(partition.save());
    expect(decodeCheckpoint(text)?.offset).toBe(0);
    expect(decodeCheckpoint(text.slice(0, -1))).toBeUndefined();
    expect(decodeCheckpoint(text.replace('"w1"', '"w2"'))).toBeUndefined();
    expect(decodeCheckpoint('')).toBeUndefined();
    const later = { ...partition.save(), format: 2 } as unknown as PartitionState;
    expect(decodeCheckpoint(encodeCheckpoint(later))).toBeUndefined();
  });
});
