import { describe, expect, it } from '@jest/globals';
import { ScriptWindow, StepQueue, type Step } from '../../../../lib/brokers/redis/step-queue.js';
import { settle } from '../../../support/engine/manual-clock.js';

const SETTINGS = { maxQueued: 3, maxQueuedBytes: 1_000, maxBatchBytes: 1_000 };

describe('steps that go to Redis together', () => {
  const calls: string[] = [];
  const ends: (() => void)[] = [];
  const queueOf = (settings = SETTINGS) => {
    calls.length = 0;
    ends.length = 0;
    return new StepQueue<string>('things', settings, async (lane, batch: readonly Step[]) => {
      calls.push(`${lane}:${batch.map(({ args: [first] }) => String(first)).join('')}`);
      await new Promise<void>((resolve) => ends.push(resolve));
    });
  };
  const turn = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    await settle();
  };

  it('take effect in their order, one call of a lane at a time', async () => {
    const queue = queueOf({ ...SETTINGS, maxQueued: 10 });
    const done = [queue.add('x', [], ['1']), queue.add('y', [], ['a']), queue.add('x', [], ['2'])];
    await turn();
    expect(calls).toEqual(['x:12', 'y:a']);
    done.push(queue.add('x', [], ['3']), queue.add('x', [], ['4']));
    await turn();
    expect(calls).toHaveLength(2);
    const settled = queue.settled();
    ends.shift()?.();
    ends.shift()?.();
    await turn();
    expect(calls.slice(2)).toEqual(['x:34']);
    ends.shift()?.();
    await Promise.all([...done, settled]);
    done.push(queue.add('x', [], ['5']));
    await turn();
    expect(calls.slice(3)).toEqual(['x:5']);
  });

  it('are refused where too many wait, until others were sent', async () => {
    const queue = queueOf();
    const all = [1, 2, 3].map((name) => queue.add('x', [], [name]));
    await expect(queue.add('y', [], ['4'])).rejects.toMatchObject({
      code: 'unavailable',
      message: '3 changes of things wait for Redis already',
    });
    await turn();
    all.push(queue.add('y', [], ['5']));
    await turn();
    for (const end of ends) end();
    await Promise.all(all);
    expect(calls).toEqual(['x:123', 'y:5']);
  });

  it('are refused where too many bytes wait; one alone may have any size', async () => {
    const queue = queueOf();
    const large = 'l'.repeat(2_000);
    const all = [queue.add('x', [], [large])];
    await expect(queue.add('x', [], ['4'])).rejects.toMatchObject({ code: 'unavailable' });
    await turn();
    all.push(queue.add('x', ['k'.repeat(900)], ['5']));
    await expect(queue.add('x', ['k'.repeat(100)], ['6'])).rejects.toMatchObject({ code: 'unavailable' });
    for (let index = 0; index < 2; index++) {
      ends.shift()?.();
      await turn();
    }
    await Promise.all(all);
    const after = ['7', '8'].map((name) => queue.add('x', ['k'.repeat(400)], [name]));
    await turn();
    ends.shift()?.();
    await Promise.all(after);
    expect(calls).toEqual([`x:${large}`, 'x:5', 'x:78']);
  });

  it('are as many in one call as the queue says, and two hundred where it says nothing', async () => {
    const sizes: number[] = [];
    const settings = { ...SETTINGS, maxQueued: 1_000 };
    const write = (_: string, { length }: readonly Step[]) => Promise.resolve(void sizes.push(length));
    for (const queue of [
      new StepQueue('things', settings, write, 50),
      new StepQueue('things', settings, write),
    ])
      await Promise.all(Array.from({ length: 201 }, (_, index) => queue.add('x', [], [`${index}`])));
    expect(sizes).toEqual([50, 50, 50, 50, 1, 200, 1]);
  });

  it('all fail with their call, and those that the call refused alone fail alone', async () => {
    let call = 0;
    const queue = new StepQueue<string>('things', SETTINGS, (_, batch) => {
      batch[1]?.reject(new Error('full'));
      call += 1;
      return call === 1 ? Promise.resolve() : Promise.reject(new Error('away'));
    });
    const outcomes = async () =>
      (await Promise.allSettled([1, 2, 3].map((name) => queue.add('x', [], [name])))).map((one) =>
        one.status === 'rejected' ? (one.reason as Error).message : 'done',
      );
    expect(await outcomes()).toEqual(['done', 'full', 'done']);
    expect(await outcomes()).toEqual(['away', 'full', 'away']);
  });
});

describe('scripts that wait for their turn', () => {
  it('are four at once, in their order, also where some fail', async () => {
    const window = new ScriptWindow();
    const begun: number[] = [];
    const ends: ((fails: boolean) => void)[] = [];
    const run = (index: number) =>
      window.run(async () => {
        begun.push(index);
        await new Promise<void>((resolve, reject) => {
          ends.push((fails) => (fails ? reject(new Error('away')) : resolve()));
        });
      });
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 10 }, (_, index) => run(index));
      const outcomes = Promise.allSettled(all);
      for (let ended = 0; ended < 10; ended++) {
        await settle();
        expect(begun).toEqual(Array.from({ length: Math.min(4 + ended, 10) }, (_, index) => index));
        ends.shift()?.(ended % 2 === 0);
      }
      expect((await outcomes).filter(({ status }) => status === 'rejected')).toHaveLength(5);
      begun.length = 0;
    }
  });
});
