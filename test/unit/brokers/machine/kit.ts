import type { Command, Genesis } from '../../../../lib/brokers/machine/commands.js';
import { Partition, type PartitionState } from '../../../../lib/brokers/machine/partition.js';
import type { LogRecord } from '../../../../lib/brokers/machine/record.js';
import type { AppendRequest, LogPolicy } from '../../../../lib/core/ports/broker.js';
import type { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

export const GENESIS: Genesis = {
  layout: 1,
  partitions: 8,
  hash: 'fnv1a',
  incarnation: 'log1',
  version: 1,
  settings: {
    maxBytes: 65_536,
    maxIdBytes: 12_000,
    idShare: 0.125,
    maxIdleChannels: 9,
    headMs: 40_000,
    restrictionsEndBy: 'ts',
  },
};

/** A genesis with room for all that a test writes. */
export const ROOMY: Genesis = {
  ...GENESIS,
  settings: { ...GENESIS.settings, maxBytes: 64 << 20, maxIdBytes: 32 << 20, maxIdleChannels: 1_000 },
};

export const POLICY: LogPolicy = {
  retain: true,
  size: 1_000,
  maxBytes: 100_000,
  ttlMs: 60_000,
  dedupeMs: 10_000,
};

export const request = (channel: string, id: string, policy: Partial<LogPolicy> = {}): AppendRequest => ({
  channel,
  producer: 'u:ada',
  fingerprint: id,
  event: { id, event: 'message', payload: id },
  bytes: 50,
  policy: { ...POLICY, ...policy },
});

export const append = (channel: string, ...ids: string[]): Command<'append'> => ({
  kind: 'append',
  requests: ids.map((id) => request(channel, id)),
});

/** What one writer writes into a log: the genesis first. */
export class Writer {
  readonly records: LogRecord[] = [];
  private n = 0;
  private timeMs = 1_700_000_000_000;
  private term = 0;

  constructor(
    private readonly genesis: Genesis = ROOMY,
    private readonly name = 'w1',
  ) {
    this.write({ kind: 'genesis', ...genesis });
  }

  /** Time of the log until the next record; may be negative. */
  pass(ms: number): this {
    this.timeMs += ms;
    return this;
  }

  begin(term: number): this {
    this.term = term;
    return this;
  }

  write(...commands: readonly unknown[]): LogRecord {
    this.n += 1;
    return this.put({ writer: this.name, n: this.n, incarnation: this.genesis.incarnation, commands });
  }

  put(content: LogRecord['content'], text = JSON.stringify(content ?? 'foreign')): LogRecord {
    const record = {
      offset: this.records.length,
      timeMs: this.timeMs,
      term: this.term,
      bytes: new TextEncoder().encode(text),
      content: content === undefined ? undefined : (JSON.parse(text) as LogRecord['content']),
    };
    this.records.push(record);
    return record;
  }
}

/** A partition that has applied records, and what it answered to the last. */
export function readerOf(records: readonly LogRecord[], genesis: Genesis = ROOMY) {
  const partition = new Partition(genesis);
  const outcomes = records.map((record) => partition.apply(record, 0));
  return { partition, outcomes, last: outcomes.at(-1) };
}

/** A partition made of what another one saves, through text, with its events read from the log again. */
export function restoredOf(partition: Partition, records: readonly LogRecord[], genesis: Genesis): Partition {
  const state = JSON.parse(JSON.stringify(partition.save())) as PartitionState;
  const restored = Partition.restored(genesis, state);
  for (const record of records) {
    if (record.offset >= (restored.oldestMissing ?? Infinity) && record.offset <= restored.position)
      restored.fill(record, 0);
  }
  if (restored.fillRest() > 0) throw new Error('Events of the log were not found again');
  return restored;
}

const NAMES = Array.from({ length: 14 }, (_, index) => `room.${index}`);
const PRODUCERS = ['u:ada', 'u:bob', 's:one', 's:two', 's:three', 'a:app'];
const NODES = ['n1', 'n2', 'n3'];

export { NAMES };

export function randomCommand(entropy: SeededEntropy, step: number): unknown {
  const channel = entropy.pick(NAMES);
  const node = entropy.pick(NODES);
  const entry = {
    channel,
    member: entropy.pick(['ada', 'bob', 'cy']),
    device: entropy.pick(['phone', 'laptop']),
    generation: 1 + entropy.int(2),
    ...(entropy.int(2) === 0 ? {} : { data: { state: 'x'.repeat(entropy.int(300)), list: [[], []] } }),
  };
  const leased = {
    leaseMs: 1_000 + entropy.int(20_000),
    ...(entropy.int(2) === 0 ? {} : { node }),
  };
  const graceMs = entropy.pick([0, 1, leased.leaseMs]);
  const hold = {
    channel,
    holder: node,
    generation: 1 + entropy.int(2),
    ...(entropy.int(2) === 0 ? {} : { member: entry.member }),
  };
  const kind = entropy.int(34);
  if (kind < 14) return { kind: 'append', requests: randomRequests(entropy, step, channel) };
  switch (kind) {
    case 14:
      return { kind: 'erase', channel, seqs: [1, 2, 3, 4, 5, 6].slice(entropy.int(5)) };
    case 15:
      return entropy.int(3) === 0
        ? { kind: 'clear', channel }
        : { kind: 'cut', channel, keep: entropy.int(4) };
    case 16:
      return { kind: 'pin', channel };
    case 17:
    case 18:
      return { kind: 'unpin', channel };
    case 19:
    case 20:
    case 21:
      return { kind: 'enter', entry, ...leased };
    case 22:
      return { kind: 'update', entry };
    case 23:
      return { kind: 'leave', entry, graceMs };
    case 24:
      return { kind: 'renew', entries: [entry, { ...entry, channel: entropy.pick(NAMES) }], ...leased };
    case 25:
    case 26:
      return { kind: 'hold', holds: [hold, { ...hold, channel: entropy.pick(NAMES) }], ...leased };
    case 27:
      return { kind: 'release', hold, graceMs };
    case 28:
      return { kind: 'take', node, limit: entropy.int(5) };
    case 29:
      return { kind: 'done', ids: [`log1-${1 + entropy.int(40)}`] };
    case 30:
      return { kind: 'control', message: randomControl(entropy) };
    case 31:
    case 32:
      return { kind: 'heartbeat', node, leaseMs: 2_000 + entropy.int(9_000), versions: [1] };
    default:
      return entropy.int(3) === 0 ? { kind: 'goodbye', node } : { kind: 'tick' };
  }
}

function randomRequests(entropy: SeededEntropy, step: number, channel: string): AppendRequest[] {
  return Array.from({ length: 1 + entropy.int(4) }, (_, index) => {
    const id = entropy.int(4) === 0 ? `again${entropy.int(5)}` : `e${step}-${index}`;
    const size = entropy.int(3) === 0 ? entropy.int(4_000) : entropy.int(300);
    const payload = entropy.int(2) === 0 ? 'y'.repeat(size) : { a: [1, {}, 'z'.repeat(size)] };
    return {
      channel: entropy.int(3) === 0 ? entropy.pick(NAMES) : channel,
      producer: entropy.pick(PRODUCERS),
      fingerprint: entropy.pick(['f', 'f', 'g']),
      ...(entropy.int(6) === 0 ? { after: `again${entropy.int(5)}` } : {}),
      event: { id, event: 'm', payload, ...(entropy.int(4) === 0 ? { ttl: 1_000 } : {}) },
      bytes: 60 + size,
      policy: {
        retain: entropy.int(8) > 0,
        size: entropy.pick([1, 3, 20]),
        maxBytes: entropy.pick([500, 6_000, 100_000]),
        ttlMs: entropy.pick([3_000, 10_000, 60_000]),
        dedupeMs: entropy.pick([0, 2_000, 15_000]),
      },
    };
  });
}

function randomControl(entropy: SeededEntropy): unknown {
  const id = entropy.pick(['eve', 'mal']);
  const forMs = 1_000 + entropy.int(30_000);
  return entropy.pick([
    { kind: 'ban', user: id, forMs },
    { kind: 'unban', user: id },
    { kind: 'restrict', act: 'mute', whom: { of: 'user', id }, forMs },
    { kind: 'lift', act: 'mute', whom: { of: 'user', id } },
    { kind: 'abuse', of: 'user', id, forMs },
    { kind: 'revoke', user: id },
  ]);
}
