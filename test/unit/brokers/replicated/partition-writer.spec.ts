import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Command, Outcome } from '../../../../lib/brokers/machine/commands.js';
import { PartitionWriter, type WriteFailure } from '../../../../lib/brokers/replicated/partition-writer.js';
import { decodeRecord } from '../../../../lib/brokers/replicated/record-codec.js';
import { WriteRoom } from '../../../../lib/brokers/replicated/write-room.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import type { MemoryOrderedLog } from '../../../support/ordered-log/memory-log.js';
import { MemoryLogServer } from '../../../support/ordered-log/memory-server.js';

/** By the manual clock. */
const FAILS_AFTER = 5_000;

const clear = (channel: string): Command => ({ kind: 'clear', channel });

/** Lets what was promised happen; no time passes. */
async function settled(): Promise<void> {
  // An append and its answer take a turn each; no test here has more than three of them under way.
  for (let turn = 0; turn < 12; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('the writer of a partition', () => {
  let clock: ManualClock;
  let server: MemoryLogServer;
  let log: MemoryOrderedLog;
  let room: WriteRoom;
  let writer: PartitionWriter;
  let results: (Outcome | WriteFailure)[];

  beforeEach(() => {
    clock = new ManualClock();
    server = new MemoryLogServer({ clock, maxRecordBytes: 400 });
    log = server.open();
    room = new WriteRoom({ maxQueued: 20, maxQueuedBytes: 2_000 });
    writer = new PartitionWriter(0, log, 'life-1', room, {
      clock,
      writer: 'w',
      timeoutMs: FAILS_AFTER,
      retryMs: 100,
    });
    results = [];
  });

  const push = (...channels: readonly string[]): void => {
    for (const channel of channels) writer.push(clear(channel), (outcome) => results.push(outcome));
  };
  const stored = () => (server.partition(0)?.records ?? []).map(({ bytes }) => decodeRecord(bytes));
  const channelsOf = () =>
    stored().map((record) =>
      record?.commands
        .map((value) => value as Command)
        .map((command) => ('channel' in command ? command.channel : command.kind)),
    );
  /** Reads as a node does, each number once. */
  const read = (from = 0): void => {
    for (const record of stored().slice(from)) {
      if (record?.writer === 'w')
        writer.onRead(
          record.n,
          record.commands.map((): Outcome => ({ ok: true })),
          5,
        );
    }
  };

  it('packs the commands of one turn into one record, and what comes while it is in flight into the next', async () => {
    writer.resume(log.session);
    push('a', 'b');
    await Promise.resolve();
    push('c');
    push('d');
    await settled();
    expect(channelsOf()).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(stored().map((record) => record?.n)).toEqual([1, 2]);
    expect(results).toEqual([]);
    read();
    expect(results).toEqual([{ ok: true }, { ok: true }, { ok: true }, { ok: true }]);
    expect(writer.idle).toBe(true);
    expect(room.size).toBe(0);
  });

  it('divides what is too much for one record, and refuses a command that no record holds', async () => {
    writer.resume(log.session);
    push('x'.repeat(150), 'y'.repeat(150), 'z'.repeat(400));
    await settled();
    expect(stored()).toHaveLength(2);
    expect(results).toEqual(['too_large']);
  });

  it('waits for the acknowledgement of what it has read back', async () => {
    server.nextAppends('unanswered');
    writer.resume(log.session);
    push('a');
    await settled();
    read();
    expect(results).toEqual([]);
    clock.advance(100);
    await settled();
    expect(stored().map((record) => record?.n)).toEqual([1, 1]);
    expect(results).toEqual([{ ok: true }]);
  });

  it('sends a record again under its number until it is acknowledged, and nothing else before', async () => {
    server.nextAppends('lost', 'refused', 'lost', 'stored');
    writer.resume(log.session);
    push('a');
    await settled();
    push('b');
    for (let time = 0; time < 3; time += 1) {
      clock.advance(100);
      await settled();
    }
    expect(channelsOf()).toEqual([['a'], ['b']]);
    read();
    expect(results).toEqual([{ ok: true }, { ok: true }]);
  });

  it('sends a record that was refused again, until nobody waits for it', async () => {
    server.nextAppends(...Array.from({ length: 60 }, () => 'refused' as const));
    writer.resume(log.session);
    push('a');
    for (let time = 0; time < 51; time += 1) {
      await settled();
      clock.advance(100);
    }
    await settled();
    expect(results).toEqual(['unavailable']);
    expect(stored()).toEqual([]);
    expect(writer.idle).toBe(true);
  });

  it('calls what may be stored a timeout, and what was never sent unavailable', async () => {
    server.nextAppends('lost');
    writer.resume(log.session);
    push('a');
    await settled();
    writer.pause();
    push('b');
    clock.advance(FAILS_AFTER);
    await settled();
    expect(results).toEqual(['timeout', 'unavailable']);
    expect(room.size).toBe(0);
    // The first may be stored: it is sent again for the order of what comes, and nobody hears of it.
    writer.resume(log.session);
    await settled();
    expect(channelsOf()).toEqual([['a']]);
    read();
    expect(results).toHaveLength(2);
  });

  it('greets in each connection before anything else, also before what has to be sent again', async () => {
    server.nextAppends('unanswered');
    writer.resume(1, { n: 1, command: { kind: 'tick' } });
    push('a');
    await settled();
    clock.advance(100);
    await settled();
    expect(channelsOf()).toEqual([['tick'], ['tick'], ['a']]);
    server.nextAppends('lost');
    push('b');
    await settled();
    writer.pause();
    log.disconnect();
    log.reconnect();
    writer.resume(log.session, { n: log.session, command: { kind: 'tick' } });
    await settled();
    clock.advance(100);
    await settled();
    expect(channelsOf().slice(3)).toEqual([['tick'], ['b']]);
    expect(stored().map((record) => `${record?.writer} ${record?.n}`)).toEqual([
      'w.hello 1',
      'w.hello 1',
      'w 1',
      'w.hello 2',
      'w 2',
    ]);
  });

  it('knows that what was acknowledged is lost when a later record of its own is read before it', async () => {
    writer.resume(log.session);
    push('a');
    await settled();
    push('b');
    await settled();
    expect(channelsOf()).toEqual([['a'], ['b']]);
    read(1);
    expect(results).toEqual(['timeout', { ok: true }]);
  });

  it('refuses what it has no room for, by count and by bytes, at once', async () => {
    push(...Array.from({ length: 21 }, (_, index) => `c${index}`));
    expect(results).toEqual(['unavailable']);
    writer.abandon();
    expect(results).toHaveLength(21);
    expect(results).not.toContain('timeout');
    results.length = 0;
    push(...Array.from({ length: 10 }, () => 'x'.repeat(300)));
    expect(results.length).toBeGreaterThan(2);
    await settled();
    expect(stored()).toEqual([]);
  });

  it('fails all that it has when the log is left: what is in flight as a timeout', async () => {
    server.paused = true;
    writer.resume(log.session);
    push('a');
    await settled();
    push('b');
    writer.abandon();
    expect(results).toEqual(['timeout', 'unavailable']);
    expect(writer.idle).toBe(true);
  });

  it('fails what JSON cannot hold alone', async () => {
    writer.resume(log.session);
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const entry = { channel: 'c', member: 'm', device: 'd', generation: 1, data: cycle };
    writer.push({ kind: 'update', entry }, (outcome) => results.push(outcome));
    push('a');
    await settled();
    expect(results).toEqual(['unavailable']);
    expect(channelsOf()).toEqual([['a']]);
  });

  it('answers the other commands of a record when the caller of one throws, and that error is seen', async () => {
    writer.resume(log.session);
    writer.push(clear('a'), () => {
      throw new Error('a bug of a caller');
    });
    push('b');
    await settled();
    const later = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
    try {
      read();
      expect(results).toEqual([{ ok: true }]);
      expect([room.size, writer.idle]).toEqual([0, true]);
      expect(later.mock.calls[0]?.[0]).toThrow('a bug of a caller');
    } finally {
      later.mockRestore();
    }
  });
});
