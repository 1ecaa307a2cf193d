import { describe, expect, it } from '@jest/globals';
import { Partition } from '../../../../lib/brokers/machine/partition.js';
import type { LogRecord } from '../../../../lib/brokers/machine/record.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { patience } from '../../../support/patience.js';
import { GENESIS, NAMES, randomCommand, restoredOf, Writer } from './kit.js';

/** A log in which everything happens: records sent again and late, records of others, terms, clocks that jump. */
function randomLog(seed: number): readonly LogRecord[] {
  const entropy = new SeededEntropy(seed);
  const writer = new Writer(GENESIS);
  for (let step = 0; step < 260; step += 1) {
    writer.pass(entropy.pick([0, 0, 1, 50, 700, 3_000, 16_000, -400, 3_600_000]));
    const chance = entropy.int(40);
    if (chance === 0) writer.put(entropy.pick(writer.records).content);
    else if (chance === 1) writer.put(undefined);
    else if (chance === 2) writer.write({ kind: 'never' }, { kind: 'enter', entry: 5 });
    else if (chance === 3) writer.begin(Math.floor(step / 20));
    else if (chance === 4)
      writer.write({ kind: 'hello', node: 'n1', marks: [{ offset: entropy.int(step + 9), digest: 'x' }] });
    else {
      const count = 1 + entropy.int(4);
      writer.write(...Array.from({ length: count }, (_, index) => randomCommand(entropy, step * 4 + index)));
    }
  }
  return writer.records;
}

/** What a reader sees of the logs and the rosters. */
function seenIn({ machine }: Partition): unknown {
  return NAMES.map((channel) => {
    const { tip, oldest, events, continuous } = machine.read({ channel, from: 1, limit: 100 });
    const kept = events.map(({ seq, epoch, id, payload, ts }) => [seq, epoch, id, payload, ts]);
    return [tip, oldest, continuous, kept, machine.members(channel, 0, 100)];
  });
}

const SEEDS = Array.from({ length: 12 }, (_, index) => 500 + index);

describe('readers of one log', () => {
  it.each(SEEDS)(
    'come to equal outcomes and digests, also where one reads, follows and saves in between (seed %i)',
    (seed) => {
      const records = randomLog(seed);
      const noise = new SeededEntropy(seed + 7);
      const [plain, busy] = [new Partition(GENESIS), new Partition(GENESIS)];
      let applied = 0;
      for (const record of records) {
        const outcome = plain.apply(record, 0);
        for (let read = noise.int(3); read > 0; read -= 1) {
          seenIn(busy);
          busy.machine.read({ channel: `never.${read}`, from: 1, limit: 1 });
          busy.machine.restrictionsInForce(record.timeMs - noise.int(50_000));
          busy.marks();
          busy.save();
        }
        if (noise.int(3) === 0) {
          const feed = { onAppended: () => undefined, onPresence: () => undefined };
          busy.machine.follow(noise.pick(NAMES), noise.int(2) === 0 ? undefined : feed);
        }
        expect(busy.apply(record, noise.int(1_000_000))).toEqual(outcome);
        expect(busy.digests).toEqual(plain.digests);
        if (outcome.applied) applied += 1;
      }
      expect(applied).toBeGreaterThan(150);
      expect(busy.save()).toEqual(plain.save());
      expect(seenIn(busy)).toEqual(seenIn(plain));
    },
    patience(20_000),
  );

  it.each(SEEDS)(
    'come to the same from a checkpoint at any place as from the beginning (seed %i)',
    (seed) => {
      const records = randomLog(seed);
      const noise = new SeededEntropy(seed + 9);
      const whole = new Partition(GENESIS);
      let tried = new Partition(GENESIS);
      for (const record of records) {
        expect(tried.apply(record, 0)).toEqual(whole.apply(record, 0));
        expect(tried.digests).toEqual(whole.digests);
        if (noise.int(6) > 0) continue;
        tried = restoredOf(tried, records, GENESIS);
        expect(tried.digests).toEqual(whole.digests);
        expect(seenIn(tried)).toEqual(seenIn(whole));
      }
      expect(tried.save()).toEqual(JSON.parse(JSON.stringify(whole.save())));
    },
    patience(20_000),
  );

  it('differ in their digests from the first byte, time or place on in which their logs differ', () => {
    const records = randomLog(3);
    const at = 100;
    const digestsOf = (changed: readonly LogRecord[]) => {
      const partition = new Partition(GENESIS);
      return changed.map((record) => {
        partition.apply(record, 0);
        return partition.digests.input;
      });
    };
    const plain = digestsOf(records);
    const changes: readonly ((record: LogRecord) => LogRecord)[] = [
      (record) => ({ ...record, bytes: record.bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte)) }),
      (record) => ({ ...record, timeMs: record.timeMs + 1 }),
    ];
    for (const change of changes) {
      const other = digestsOf(records.map((record) => (record.offset === at ? change(record) : record)));
      expect(other.slice(0, at)).toEqual(plain.slice(0, at));
      expect(other.slice(at).filter((digest, index) => digest === plain[at + index])).toEqual([]);
    }
  });
});
