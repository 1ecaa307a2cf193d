import { beforeEach, describe, expect, it } from '@jest/globals';
import { TimeLeft } from '../../../../../lib/core/async/time-left.js';
import { SinkQueue, type SinkQueueLimits } from '../../../../../lib/core/engine/audit/sink-queue.js';
import { ThrottledLog } from '../../../../../lib/core/async/throttled-log.js';
import type { AuditEntry, AuditSink } from '../../../../../lib/core/ports/audit.js';
import { ManualClock, settle } from '../../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../../support/engine/recording-logger.js';

const LIMITS: SinkQueueLimits = { maxEntries: 8, maxBytes: 1_000, writeTimeoutMs: 1_000 };

let clock: ManualClock;
let logger: RecordingLogger;
let taken: string[];

beforeEach(() => {
  clock = new ManualClock();
  logger = new RecordingLogger();
  taken = [];
});

function entryOf(id: string, act = 'ban'): AuditEntry {
  return { id, ts: 0, node: 'n1', act, result: 'applied' };
}

function queueOf(sink: Partial<AuditSink>, limits: Partial<SinkQueueLimits> = {}): SinkQueue {
  return new SinkQueue({
    ...LIMITS,
    ...limits,
    sink: { write: ({ id }) => void taken.push(id), ...sink },
    name: 'test',
    clock,
    journal: new ThrottledLog(logger, clock),
    lost: (count) => ({ entry: entryOf(`lost ${count}`, 'lost'), bytes: 10 }),
  });
}

function push(queue: SinkQueue, ids: readonly string[], isOfClient = false, bytes = 10): void {
  for (const id of ids) queue.push({ entry: entryOf(id), bytes }, isOfClient);
}

/** A sink whose answers the test gives. */
function slowSink() {
  const open: { id: string; take: () => void; refuse: (error: Error) => void }[] = [];
  const write = ({ id }: AuditEntry): Promise<void> =>
    new Promise((resolve, refuse) => {
      open.push({
        id,
        take: () => {
          taken.push(id);
          resolve();
        },
        refuse,
      });
    });
  return { open, write };
}

describe('the queue of an audit sink', () => {
  it('hands over at once what the sink takes at once, in order', () => {
    const queue = queueOf({});
    push(queue, ['a', 'b', 'c']);
    expect(taken).toEqual(['a', 'b', 'c']);
    expect([queue.size, queue.weight]).toEqual([0, 0]);
  });

  it('writes one entry at a time, and the next when the one before was taken', async () => {
    const { open, write } = slowSink();
    const queue = queueOf({ write });
    push(queue, ['a', 'b']);
    expect(open.map(({ id }) => id)).toEqual(['a']);
    open[0]?.take();
    await settle();
    expect(open.map(({ id }) => id)).toEqual(['a', 'b']);
    expect([queue.size, queue.weight]).toEqual([1, 10]);
  });

  it.each([
    [
      'throws',
      () => () => {
        throw new Error('no');
      },
    ],
    ['rejects', () => () => Promise.reject(new Error('no'))],
  ])(
    'writes again what a sink %s at, after pauses that grow, and logs it once in a while',
    async (_, failing) => {
      let isDown = true;
      let attempts = 0;
      const fail = failing();
      const queue = queueOf({
        write: ({ id }) => {
          attempts++;
          if (isDown) return fail();
          taken.push(id);
        },
      });
      push(queue, ['a', 'b']);
      await settle();
      expect(attempts).toBe(1);
      await clock.advanceAsync(499);
      expect(attempts).toBe(1);
      await clock.advanceAsync(1);
      expect(attempts).toBe(2);
      await clock.advanceAsync(999);
      expect(attempts).toBe(2);
      await clock.advanceAsync(1);
      expect(attempts).toBe(3);
      expect(logger.at('error')).toHaveLength(1);
      isDown = false;
      await clock.advanceAsync(2_000);
      expect(taken).toEqual(['a', 'b']);
      // After a success the pauses begin again.
      isDown = true;
      push(queue, ['c']);
      await settle();
      isDown = false;
      await clock.advanceAsync(500);
      expect(taken).toEqual(['a', 'b', 'c']);
    },
  );

  it('does not pause for longer than half a minute', async () => {
    let attempts = 0;
    const queue = queueOf({
      write: () => {
        attempts++;
        throw new Error('no');
      },
    });
    push(queue, ['a']);
    await clock.advanceAsync(600_000);
    const before = attempts;
    await clock.advanceAsync(30_000);
    expect(attempts).toBe(before + 1);
  });

  it('counts what finds no room, by count and by bytes, and marks its place', async () => {
    for (const [bytes, kept] of [
      [10, 8],
      [300, 3],
    ] as const) {
      taken = [];
      const { open, write } = slowSink();
      const queue = queueOf({ write });
      const ids = Array.from({ length: 12 }, (_, index) => `e${index}`);
      push(queue, ids, false, bytes);
      expect(queue.size).toBe(kept);
      expect(queue.weight).toBe(kept * bytes);
      for (let at = 0; at <= kept; at++) {
        open[at]?.take();
        await settle();
      }
      expect(taken).toEqual([...ids.slice(0, kept), `lost ${12 - kept}`]);
      expect(queue.status).toEqual({ name: 'test', waiting: 0, failed: 0, lost: 12 - kept });
      expect([queue.size, queue.weight]).toEqual([0, 0]);
    }
    expect(logger.at('warn').length).toBeGreaterThan(0);
  });

  it('puts the mark before what comes after the loss', async () => {
    const { open, write } = slowSink();
    const queue = queueOf({ write }, { maxEntries: 4 });
    push(queue, ['a', 'b', 'c', 'd', 'x', 'y']);
    for (let at = 0; at < 3; at++) {
      open[at]?.take();
      await settle();
    }
    push(queue, ['e']);
    for (let at = 3; at < 6; at++) {
      open[at]?.take();
      await settle();
    }
    expect(taken).toEqual(['a', 'b', 'c', 'd', 'lost 2', 'e']);
  });

  it('lets clients fill one half only, so that what people do has room', () => {
    const { write } = slowSink();
    const queue = queueOf({ write });
    push(queue, ['a', 'b', 'c', 'd', 'e'], true);
    expect(queue.size).toBe(4);
    push(queue, ['f'], false);
    expect(queue.size).toBeGreaterThan(4);
  });

  it('takes a sink that does not answer as one that fails, and takes its late answer', async () => {
    const { open, write } = slowSink();
    const queue = queueOf({ write });
    push(queue, ['a', 'b']);
    await clock.advanceAsync(1_000);
    expect(logger.at('error')).toHaveLength(1);
    expect(queue.status).toEqual({ name: 'test', waiting: 2, failed: 1, lost: 0 });
    open[0]?.take();
    await settle();
    // The answer of the first write counts: it is not written again.
    expect(open.map(({ id }) => id)).toEqual(['a', 'b']);
    await clock.advanceAsync(500);
    open[1]?.take();
    await settle();
    expect(taken).toEqual(['a', 'b']);
  });

  it('leaves a sink that never answers with eight writes, and one that answers again goes first', async () => {
    const { open, write } = slowSink();
    const queue = queueOf({ write });
    push(queue, ['a']);
    await clock.advanceAsync(3_600_000);
    expect(open).toHaveLength(8);
    expect(queue.size).toBe(1);
    open[7]?.take();
    await settle();
    expect(taken).toEqual(['a']);
    expect(queue.size).toBe(0);
  });

  it('hands on as before to a sink whose answers are late, however many', async () => {
    const { open, write } = slowSink();
    const queue = queueOf({ write }, { maxEntries: 40 });
    const ids = Array.from({ length: 20 }, (_, index) => `e${index}`);
    push(queue, ids);
    for (let at = 0; at < ids.length; at++) {
      await clock.advanceAsync(1_000);
      open[at]?.take();
      await settle();
    }
    expect(taken).toEqual(ids);
    expect(queue.size).toBe(0);
  });

  it('gives up one entry that the sink refuses while it takes others, and says so', async () => {
    const queue = queueOf({
      write: ({ id }) => {
        if (id === 'poison') throw new Error('no');
        taken.push(id);
      },
    });
    push(queue, ['a', 'poison', 'b', 'c']);
    await clock.advanceAsync(600_000);
    expect(taken).toEqual(['a', 'b', 'c', 'lost 1']);
    expect(queue.status).toMatchObject({ waiting: 0, lost: 1 });
    expect(queue.status.failed).toBeGreaterThanOrEqual(9);
    expect(queue.size).toBe(0);
  });

  it('loses nothing of a sink that is away for an hour', async () => {
    let isDown = true;
    const queue = queueOf({
      write: ({ id }) => {
        if (isDown) throw new Error('no');
        taken.push(id);
      },
    });
    push(queue, ['a', 'b', 'c']);
    await clock.advanceAsync(3_600_000);
    isDown = false;
    await clock.advanceAsync(60_000);
    expect([...taken].sort()).toEqual(['a', 'b', 'c']);
  });

  it('hands over what waits when it is closed, then closes the sink and takes nothing more', async () => {
    const { open, write } = slowSink();
    const closed: string[] = [];
    const queue = queueOf({ write, close: () => void closed.push(taken.join()) });
    push(queue, ['a', 'b']);
    const closing = queue.close(new TimeLeft(clock, 5_000));
    open[0]?.take();
    await settle();
    open[1]?.take();
    expect(await closing).toBe(0);
    expect(closed).toEqual(['a,b']);
    push(queue, ['c']);
    expect(open).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it('ends at its deadline whatever the sink does, with the number of those that are left', async () => {
    const { write } = slowSink();
    const queue = queueOf(
      { write, close: () => new Promise<void>(() => undefined) },
      { writeTimeoutMs: 60_000 },
    );
    push(queue, ['a', 'b']);
    let isClosed = false;
    const closing = queue.close(new TimeLeft(clock, 5_000)).finally(() => (isClosed = true));
    await clock.advanceAsync(4_999);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    expect(isClosed).toBe(true);
    expect(await closing).toBe(2);
    expect(logger.at('warn').map(({ message }) => message)).toEqual([
      'The audit sink test did not close in time',
    ]);
  });

  it('closes a sink that never takes what waits, within the time', async () => {
    let isClosed = false;
    const { write } = slowSink();
    const queue = queueOf({ write, close: () => void (isClosed = true) }, { writeTimeoutMs: 60_000 });
    push(queue, ['a']);
    const closing = queue.close(new TimeLeft(clock, 4_000));
    await clock.advanceAsync(2_999);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    expect(isClosed).toBe(true);
    expect(await closing).toBe(1);
    expect(clock.pending).toBe(1);
  });

  it('tries a sink that failed at once where the application ends soon, and takes entries after that', async () => {
    let isDown = true;
    const queue = queueOf({
      write: (entry) => {
        if (isDown) throw new Error('down');
        taken.push(entry.id);
      },
    });
    push(queue, ['a']);
    await clock.advanceAsync(120_000);
    isDown = false;
    queue.hurry();
    expect(taken).toEqual(['a']);
    push(queue, ['b']);
    expect(taken).toEqual(['a', 'b']);
    expect(clock.pending).toBe(0);
  });
});
