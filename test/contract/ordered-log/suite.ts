import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AppendError,
  LogUnavailableError,
  MAX_ABOUT_BYTES,
  type AppendResult,
  type Checkpoint,
  type OrderedLog,
} from '../../../lib/brokers/replicated/ordered-log.js';
import { patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import type { LogDeployment, LogTraits } from './deployment.js';
import { beginOf, bytesOf, LogReader, textOf } from './log-reader.js';

/** Starts what the tests of a file share, such as a server. */
export interface LogHost {
  /** A new and empty log. */
  deploy(): Promise<LogDeployment>;
  dispose(): Promise<void>;
}

const LONG = patience(60_000);

/** What every {@link OrderedLog} promises. */
export function describeOrderedLog(name: string, start: () => Promise<LogHost>, traits: LogTraits): void {
  describe(`the ordered log of ${name}`, () => {
    let host: LogHost;
    let deployment: LogDeployment;
    let log: OrderedLog;
    beforeAll(async () => void (host = await start()), patience(120_000));
    afterAll(() => host?.dispose());
    beforeEach(async () => {
      deployment = await host.deploy();
      log = await deployment.open();
    }, LONG);
    afterEach(() => deployment.dispose(), LONG);

    /** Waits for a condition, also where the log's clients live on a clock of the test. */
    const eventually = (what: string, condition: () => boolean | Promise<boolean>): Promise<void> =>
      until(
        what,
        async () => {
          await traits.advance?.();
          return condition();
        },
        patience(30_000),
      );
    /** The result of a call, also where the clock of the test must move for it. */
    const settled = async <T>(call: Promise<T>): Promise<T> => {
      let isSettled = false;
      const mark = (): void => void (isSettled = true);
      call.then(mark, mark);
      await eventually('a call to settle', () => isSettled);
      return call;
    };
    const append = (text: string, to = log, partition = 0): Promise<AppendResult> =>
      settled(to.append(partition, bytesOf(text), to.session));
    const appendAll = async (texts: readonly string[], to = log, partition = 0): Promise<number[]> => {
      const offsets: number[] = [];
      for (const text of texts) offsets.push((await append(text, to, partition)).offset);
      return offsets;
    };
    /** Appends as soon as the log takes it: after an outage, or while a leader is elected. */
    const appendEventually = (text: string, to = log): Promise<void> =>
      eventually(`"${text}" to be appended`, () =>
        append(text, to).then(
          () => true,
          () => false,
        ),
      );
    const read = async (from: OrderedLog, count: number, partition = 0): Promise<LogReader> => {
      const reader = await LogReader.fromFirst(from, partition);
      await eventually(`${count} records`, () => reader.records.length >= count);
      return reader;
    };

    describe('order', () => {
      it('gives each reader the same records in the order of their offsets, from several writers', async () => {
        const other = await deployment.open();
        const mine = await LogReader.fromFirst(log);
        await Promise.all([appendAll(numbered('a', 20)), appendAll(numbered('b', 20), other)]);
        const theirs = await read(other, 40);
        await eventually('all records', () => mine.records.length === 40);
        expect(mine.facts).toEqual(theirs.facts);
        expect(mine.texts.filter((text) => text.startsWith('a'))).toEqual(numbered('a', 20));
        expect(mine.texts.filter((text) => text.startsWith('b'))).toEqual(numbered('b', 20));
        const offsets = mine.records.map(({ offset }) => offset);
        expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
        expect(new Set(offsets).size).toBe(40);
      });

      it('keeps partitions apart', async () => {
        await appendAll(['zero'], log, 0);
        await appendAll(['one'], log, 1);
        expect((await read(log, 1, 0)).texts).toEqual(['zero']);
        expect((await read(log, 1, 1)).texts).toEqual(['one']);
      });

      it('appends to several partitions at once', async () => {
        await Promise.all([append('zero', log, 0), append('one', log, 1)]);
        expect((await read(log, 1, 0)).texts).toEqual(['zero']);
        expect((await read(log, 1, 1)).texts).toEqual(['one']);
      });

      it('gives times of the log, not of the writer, and terms that never fall', async () => {
        await appendAll(numbered('a', 5));
        const { records } = await read(log, 5);
        for (const { term, timeMs } of records) {
          expect(Number.isSafeInteger(timeMs)).toBe(true);
          expect(timeMs).toBeGreaterThan(1_000_000_000_000);
          if (log.detectsCuts === 'log') expect(term).toBeGreaterThan(0);
          else expect(term).toBe(0);
        }
      });
    });

    describe('append', () => {
      it('says where the record is', async () => {
        const offsets = await appendAll(numbered('a', 5));
        const { records } = await read(log, 5);
        expect(records.map(({ offset }) => offset)).toEqual(offsets);
      });

      it('takes a record of the largest size, and leaves the bytes alone', async () => {
        const bytes = new Uint8Array(log.maxRecordBytes).fill(7);
        await settled(log.append(0, bytes, log.session));
        expect(bytes.every((byte) => byte === 7)).toBe(true);
        const { records } = await read(log, 1);
        expect(Buffer.compare(records[0]?.bytes ?? Buffer.of(), bytes)).toBe(0);
      });

      it('gives the reader bytes of its own', async () => {
        const bytes = bytesOf('before');
        await settled(log.append(0, bytes, log.session));
        bytes.fill(0);
        const first = await read(log, 1);
        first.records[0]?.bytes.fill(0);
        expect((await read(log, 1)).texts).toEqual(['before']);
      });

      it.each([
        ['an empty record', () => log.append(0, new Uint8Array(0), log.session), false],
        [
          'a record that is too large',
          () => log.append(0, new Uint8Array(log.maxRecordBytes + 1), log.session),
          false,
        ],
        ['a partition below the first', () => log.append(-1, bytesOf('a'), log.session), false],
        ['a partition behind the last', () => log.append(log.partitions, bytesOf('a'), log.session), false],
        ['a record for an earlier connection', () => log.append(0, bytesOf('a'), log.session - 1), true],
      ])('refuses %s', async (_, call, retryable) => {
        const error = await failure(settled(call()));
        expect(error).toBeInstanceOf(AppendError);
        expect(error).toMatchObject({ outcome: 'refused', retryable });
        await append('after');
        expect((await read(log, 1)).texts).toEqual(['after']);
      });

      it('has one append of a partition in flight: a second one is refused', async () => {
        const first = log.append(0, bytesOf('first'), log.session);
        const error = await failure(log.append(0, bytesOf('second'), log.session));
        expect(error).toMatchObject({ outcome: 'refused', retryable: true });
        await settled(first);
        await append('third');
        expect((await read(log, 2)).texts).toEqual(['first', 'third']);
      });

      it(
        'says that the outcome is unknown when the log does not answer, and takes the next one when it does',
        async () => {
          await append('before');
          await deployment.pause();
          const error = await failure(settled(log.append(0, bytesOf('unanswered'), log.session)));
          deployment.resume();
          expect(error).toBeInstanceOf(AppendError);
          expect(error).toMatchObject({ outcome: 'unknown' });
          await appendEventually('after');
          const reader = await LogReader.fromFirst(log);
          await eventually('the last record', () => reader.texts.includes('after'));
          expect(reader.texts[0]).toBe('before');
          expect(reader.texts.filter((text) => text === 'unanswered').length).toBeLessThanOrEqual(1);
        },
        LONG,
      );
    });

    describe('consume', () => {
      it('begins at any offset', async () => {
        const offsets = await appendAll(numbered('a', 6));
        const { incarnation } = await log.bounds(0);
        for (const [index, offset] of offsets.entries()) {
          const reader = new LogReader(log, 0, { incarnation, offset, term: 0 });
          await eventually('the rest', () => reader.records.length === 6 - index);
          expect(reader.texts).toEqual(numbered('a', 6).slice(index));
        }
      });

      it('waits at the end of the log for what comes', async () => {
        await append('before');
        const { end, incarnation } = await log.bounds(0);
        const reader = new LogReader(log, 0, { incarnation, offset: end, term: 0 });
        await appendAll(['after', 'later']);
        await eventually('what was appended', () => reader.records.length === 2);
        expect(reader.texts).toEqual(['after', 'later']);
      });

      it('fetches nothing for a reader that is busy, and gives it the rest in order', async () => {
        let release = (): void => undefined;
        const reader = await LogReader.fromFirst(log);
        reader.hold = new Promise<void>((resolve) => (release = resolve));
        const texts = numbered('a', 30);
        await appendAll(texts);
        await eventually('the first batch', () => reader.batches.length === 1);
        // A second reader has everything by now.
        await read(log, 30);
        expect(reader.batches).toHaveLength(1);
        reader.hold = undefined;
        release();
        await eventually('the rest', () => reader.records.length === 30);
        expect(reader.texts).toEqual(texts);
        expect(reader.mostRunning).toBe(1);
      });

      it('ends as failed when the reader throws', async () => {
        const ends: unknown[] = [];
        log.consume(0, beginOf(await log.bounds(0)), {
          onRecords: () => {
            throw new Error('the reader broke');
          },
          onEnd: (end) => ends.push(end),
        });
        await appendAll(['a', 'b']);
        await eventually('the end', () => ends.length > 0);
        expect(ends).toEqual([{ kind: 'failed', error: new Error('the reader broke') }]);
      });

      it('gives nothing after its close, and leaves other readings alone', async () => {
        const closed = await LogReader.fromFirst(log);
        await append('before');
        await eventually('the first record', () => closed.records.length === 1);
        closed.reading.close();
        closed.reading.close();
        await append('after');
        expect((await read(log, 2)).texts).toEqual(['before', 'after']);
        expect(closed.texts).toEqual(['before']);
        expect(closed.ends).toEqual([]);
      });

      it('may be closed by its own reader', async () => {
        const texts: string[] = [];
        const reading = log.consume(0, beginOf(await log.bounds(0)), {
          onRecords: (records) => {
            texts.push(...records.map(({ bytes }) => textOf(bytes)));
            reading.close();
          },
          onEnd: () => texts.push('end'),
        });
        await append('a');
        await eventually('the first record', () => texts.length === 1);
        await append('b');
        await read(log, 2);
        expect(texts).toEqual(['a']);
      });

      it('refuses a partition that does not exist', async () => {
        const { incarnation } = await log.bounds(0);
        expect(() => new LogReader(log, log.partitions, { incarnation, offset: 0, term: 0 })).toThrow(
          RangeError,
        );
        expect(() => new LogReader(log, -1, { incarnation, offset: 0, term: 0 })).toThrow(RangeError);
      });
    });

    describe('bounds', () => {
      it('are those of the log at the time of the question', async () => {
        const empty = await log.bounds(0);
        expect(empty.end).toBe(empty.first);
        const offsets = await appendAll(numbered('a', 3));
        const full = await (await deployment.open()).bounds(0);
        expect(full).toEqual({ ...empty, end: (offsets[2] ?? 0) + 1 });
        expect(full.first).toBe(offsets[0]);
        expect(full.incarnation.length).toBeLessThanOrEqual(64);
      });

      it('do not wait behind readers that wait for records', async () => {
        const readers = await Promise.all([LogReader.fromFirst(log, 0), LogReader.fromFirst(log, 1)]);
        await append('a');
        await eventually('the reader to wait for more', () => readers[0]?.records.length === 1);
        const before = performance.now();
        for (let question = 0; question < 5; question++) await log.bounds(0);
        // A reader waits for seconds.
        expect(performance.now() - before).toBeLessThan(stretched(2_000));
      });

      it(
        'cannot be known while the log does not answer',
        async () => {
          await deployment.pause();
          const error = await failure(settled(log.bounds(0)));
          deployment.resume();
          expect(error).toBeInstanceOf(LogUnavailableError);
          await eventually('the bounds', () =>
            log.bounds(0).then(
              () => true,
              () => false,
            ),
          );
        },
        LONG,
      );
    });

    describe('loss', () => {
      /** Reads from the beginning as soon as the log can be asked where that is. */
      const readAgain = async (): Promise<LogReader> => {
        let reader: LogReader | undefined;
        await eventually('the bounds', async () => {
          reader = await LogReader.fromFirst(log).catch(() => undefined);
          return reader !== undefined;
        });
        return reader ?? LogReader.fromFirst(log);
      };

      it(
        'continues behind a restart of the servers, with nothing twice and nothing left out',
        async () => {
          const reader = await LogReader.fromFirst(log);
          await appendAll(numbered('a', 5));
          const states: string[] = [];
          const before = log.session;
          log.onState(({ connected, session }) =>
            states.push(`${connected ? 'up' : 'down'} ${session - before}`),
          );
          await deployment.restart();
          await eventually('the connection', () => log.connected && log.session > before);
          expect(states[0]).toBe('down 0');
          expect(states.at(-1)).toBe(`up ${log.session - before}`);
          expect(await failure(log.append(0, bytesOf('old'), before))).toMatchObject({ outcome: 'refused' });
          await appendEventually('b');
          await eventually('the last record', () => reader.texts.includes('b'));
          expect(reader.texts).toEqual([...numbered('a', 5), 'b']);
          expect(reader.ends).toEqual([]);
        },
        LONG,
      );

      it(
        'ends a reading where the log was cut',
        async () => {
          const offsets = await appendAll(numbered('kept', 4));
          const cut = await deployment.mark();
          const reader = await readAgain();
          for (const text of numbered('lost', 3)) await appendEventually(text);
          await eventually('all records', () => reader.records.length >= 7);
          await cut();
          await eventually('the end', () => reader.ends.length > 0);
          const end = (offsets[3] ?? 0) + 1;
          expect(reader.ends).toEqual([{ kind: 'cut', offset: end }]);
          await appendEventually('new');
          const again = await readAgain();
          await eventually('the new record', () => again.records.length >= 5);
          expect(again.texts).toEqual([...numbered('kept', 4), 'new']);
        },
        LONG,
      );

      (traits.seesRegrownCuts ? it : it.skip)(
        'ends a reading where the log was cut, when it is as long again as before',
        async () => {
          const offsets = await appendAll(numbered('kept', 4));
          const cut = await deployment.mark();
          const reader = await readAgain();
          for (const text of numbered('lost', 3)) await appendEventually(text);
          await eventually('all records', () => reader.records.length >= 7);
          await cut(async (other) => {
            for (const text of numbered('new', 5)) await appendEventually(text, other);
          });
          await eventually('the end', () => reader.ends.length > 0);
          expect(reader.ends).toEqual([{ kind: 'cut', offset: (offsets[3] ?? 0) + 1 }]);
          expect(reader.texts.filter((text) => text.startsWith('new'))).toEqual([]);
        },
        LONG,
      );

      it(
        'does not end a reading that begins behind nothing that was lost',
        async () => {
          await appendAll(numbered('kept', 4));
          const cut = await deployment.mark();
          await appendEventually('lost');
          await cut();
          await appendEventually('new');
          const reader = await readAgain();
          await eventually('all records', () => reader.texts.includes('new'));
          const { incarnation } = await log.bounds(0);
          const next = new LogReader(log, 0, reader.position(incarnation));
          await appendEventually('newer');
          await eventually('the next record', () => next.records.length === 1);
          expect(next.ends).toEqual([]);
          expect(reader.ends).toEqual([]);
        },
        LONG,
      );

      it('ends a reading at a place behind the end of the log', async () => {
        await append('a');
        const { end, incarnation } = await log.bounds(0);
        const reader = new LogReader(log, 0, { incarnation, offset: end + 5, term: 0 });
        await eventually('the end', () => reader.ends.length > 0);
        expect(reader.ends).toEqual([{ kind: 'cut', offset: end }]);
      });

      it(
        'ends a reading whose records were dropped, and says what is left',
        async () => {
          const offsets = await appendAll(numbered('a', 6));
          const first = offsets[3] ?? 0;
          await deployment.trim(0, first);
          const { incarnation } = await log.bounds(0);
          const reader = new LogReader(log, 0, { incarnation, offset: offsets[1] ?? 0, term: 0 });
          await eventually('the end', () => reader.ends.length > 0);
          expect(reader.ends).toEqual([{ kind: 'trimmed', first }]);
          expect(reader.records).toEqual([]);
          expect((await read(log, 3)).texts).toEqual(['a4', 'a5', 'a6']);
          expect((await log.bounds(0)).first).toBe(first);
        },
        LONG,
      );

      it(
        'leaves a reader alone that has read what is dropped',
        async () => {
          const offsets = await appendAll(numbered('a', 6));
          const reader = await read(log, 6);
          await deployment.trim(0, offsets[5] ?? 0);
          await append('b');
          await eventually('the next record', () => reader.records.length === 7);
          expect(reader.ends).toEqual([]);
        },
        LONG,
      );

      it(
        'ends a reading whose partition was deleted and made again, and has another name for it',
        async () => {
          await appendAll(numbered('old', 3));
          const reader = await read(log, 3);
          const before = await log.bounds(0);
          await deployment.recreate();
          await eventually('the end', () => reader.ends.length > 0);
          await eventually('the new partition', () =>
            log.bounds(0).then(
              ({ incarnation }) => incarnation !== before.incarnation,
              () => false,
            ),
          );
          const { incarnation } = await log.bounds(0);
          expect(reader.end?.kind).toBe('replaced');
          expect([undefined, incarnation]).toContain((reader.end as { incarnation?: string }).incarnation);
          await appendEventually('new');
          const late = new LogReader(log, 0, reader.position(before.incarnation));
          await eventually('the end of the late one', () => late.ends.length > 0);
          expect(late.ends).toEqual([{ kind: 'replaced', incarnation }]);
          expect((await read(log, 1)).texts).toEqual(['new']);
          expect(reader.texts).toEqual(numbered('old', 3));
        },
        LONG,
      );
    });

    describe('checkpoints', () => {
      const save = (checkpoint: Checkpoint, by = log, partition = 0): Promise<void> =>
        settled(by.saveCheckpoint(partition, checkpoint));
      const load = (...args: Parameters<OrderedLog['loadCheckpoint']>): Promise<Checkpoint | undefined> =>
        settled(log.loadCheckpoint(...args));

      it('are not there at first', async () => {
        expect(await load(0)).toBeUndefined();
      });

      it(
        'come back as they were saved, of any size, on every node',
        async () => {
          for (const size of [0, 1, log.maxRecordBytes, Math.floor(log.maxRecordBytes * 2.5)]) {
            const saved = checkpoint(size, size);
            await save(saved);
            const other = await deployment.open();
            expect(plain(await settled(other.loadCheckpoint(0)))).toEqual(plain(saved));
          }
        },
        LONG,
      );

      it('belong to their partition', async () => {
        await save(checkpoint(1), log, 1);
        expect(await load(0)).toBeUndefined();
        expect(plain(await load(1))).toEqual(plain(checkpoint(1)));
      });

      it('are offered by their heads from the newest back, until one is accepted', async () => {
        for (const offset of [1, 2, 3, 4]) await save(checkpoint(offset));
        const offered: number[] = [];
        const found = await load(0, async ({ about, offset }) => {
          offered.push(offset);
          expect(textOf(about)).toBe(`about ${offset}`);
          return offset <= 2;
        });
        expect(offered).toEqual([4, 3, 2]);
        expect(plain(found)).toEqual(plain(checkpoint(2)));
        expect(await load(0, () => false)).toBeUndefined();
      });

      it(
        'are whole when several nodes save at once',
        async () => {
          const other = await deployment.open();
          const size = Math.floor(log.maxRecordBytes * 1.5);
          await Promise.all([save(checkpoint(1, size)), save(checkpoint(2, size), other)]);
          for (const offset of [1, 2])
            expect(plain(await load(0, (head) => head.offset === offset))).toEqual(
              plain(checkpoint(offset, size)),
            );
        },
        LONG,
      );

      it('are the earlier one when a node ended while it saved', async () => {
        await save(checkpoint(1));
        const other = await deployment.open();
        const size = log.maxRecordBytes * 8;
        const saving = failure(other.saveCheckpoint(0, checkpoint(2, size)));
        await other.close();
        expect(await settled(saving)).toBeInstanceOf(LogUnavailableError);
        expect(plain(await load(0))).toEqual(plain(checkpoint(1)));
      });

      it('hold at most what is said of a head', async () => {
        const fits = { ...checkpoint(1), about: new Uint8Array(MAX_ABOUT_BYTES) };
        await save(fits);
        expect(plain(await load(0))).toEqual(plain(fits));
        const error = await failure(save({ ...fits, about: new Uint8Array(MAX_ABOUT_BYTES + 1) }));
        expect(error).toBeInstanceOf(RangeError);
      });
    });

    describe('signals', () => {
      it('reach every node that listens, also the one that sends, and are not in the log', async () => {
        const other = await deployment.open();
        const [mine, theirs]: string[][] = [[], []];
        await settled(log.onSignal((bytes) => mine?.push(textOf(bytes))));
        await settled(other.onSignal((bytes) => theirs?.push(textOf(bytes))));
        await settled(log.signal(bytesOf('a')));
        await eventually('the first signal', () => mine?.length === 1 && theirs?.length === 1);
        await settled(other.signal(bytesOf('b')));
        await eventually('the second signal', () => mine?.length === 2 && theirs?.length === 2);
        expect([mine, theirs]).toEqual([
          ['a', 'b'],
          ['a', 'b'],
        ]);
        const { end, first } = await log.bounds(0);
        expect(end).toBe(first);
      });

      it('end for a listener that stops', async () => {
        const [stopped, listening]: string[][] = [[], []];
        const stop = await settled(log.onSignal((bytes) => stopped?.push(textOf(bytes))));
        await settled(log.onSignal((bytes) => listening?.push(textOf(bytes))));
        stop();
        stop();
        await settled(log.signal(bytesOf('a')));
        await eventually('the signal', () => listening?.length === 1);
        expect(stopped).toEqual([]);
      });

      it(
        'are heard again after a restart of the servers',
        async () => {
          const heard: string[] = [];
          await settled(log.onSignal((bytes) => heard.push(textOf(bytes))));
          const before = log.session;
          await deployment.restart();
          await eventually('the connection', () => log.connected && log.session > before);
          let sent = 0;
          await eventually('a signal', async () => {
            if (heard.length === 0) await log.signal(bytesOf(`s${++sent}`)).catch(() => undefined);
            return heard.length > 0;
          });
          expect(heard[0]).toMatch(/^s\d+$/);
        },
        LONG,
      );
    });

    describe('close', () => {
      it.each<[string, (closing: OrderedLog) => Promise<unknown>]>([
        ['an append', (closing) => closing.append(0, bytesOf('a'), closing.session)],
        ['a question for the bounds', (closing) => closing.bounds(0)],
        [
          'the saving of a checkpoint',
          (closing) => closing.saveCheckpoint(0, checkpoint(1, closing.maxRecordBytes)),
        ],
        ['the loading of a checkpoint', (closing) => closing.loadCheckpoint(0)],
        ['a signal', (closing) => closing.signal(bytesOf('a'))],
        ['the start of listening', (closing) => closing.onSignal(() => undefined)],
      ])('settles %s', async (_, call) => {
        const closing = await deployment.open();
        const result = failure(call(closing));
        await closing.close();
        const error = await settled(result);
        if (error !== undefined) {
          expect(error instanceof AppendError || error instanceof LogUnavailableError).toBe(true);
          if (error instanceof AppendError) expect(error.outcome).toBe('unknown');
        }
        const after = await failure(settled(call(closing)));
        expect(after instanceof AppendError || after instanceof LogUnavailableError).toBe(true);
        if (after instanceof AppendError) expect(after.outcome).toBe('refused');
      });

      it('ends readings without a word, also one that gets records, and is idempotent', async () => {
        const closing = await deployment.open();
        const reader = await LogReader.fromFirst(closing);
        let release = (): void => undefined;
        reader.hold = new Promise<void>((resolve) => (release = resolve));
        await append('a');
        await eventually('a call', () => reader.running === 1);
        await Promise.all([closing.close(), closing.close()]);
        await appendAll(['b', 'c']);
        release();
        await read(log, 3);
        expect(reader.texts).toEqual(['a']);
        expect(reader.ends).toEqual([]);
        expect(closing.connected).toBe(false);
        await closing.close();
      });

      it(
        'does not wait for servers that do not answer',
        async () => {
          const closing = await deployment.open();
          await LogReader.fromFirst(closing);
          await deployment.pause();
          const appending = failure(closing.append(0, bytesOf('a'), closing.session));
          await settled(closing.close());
          expect(await appending).toMatchObject({ outcome: 'unknown' });
          deployment.resume();
          expect(closing.connected).toBe(false);
        },
        LONG,
      );
    });
  });
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

function checkpoint(offset: number, size = 10): Checkpoint {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 31 + offset) & 0xff;
  return { incarnation: 'life', offset, about: bytesOf(`about ${offset}`), bytes };
}

/** Whether bytes are in a Buffer is no difference. */
function plain(checkpoint: Checkpoint | undefined): unknown {
  if (checkpoint === undefined) return undefined;
  const { about, bytes, incarnation, offset } = checkpoint;
  return { incarnation, offset, about: textOf(about), bytes: Buffer.from(bytes).toString('base64') };
}

/** The error of a call that should fail; `undefined` when it did not. */
async function failure(call: Promise<unknown>): Promise<Error | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
