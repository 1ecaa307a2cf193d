import { describe, expect, it } from '@jest/globals';
import { stayAlive } from '../../../../lib/nest/lifecycle/shutdown.js';

/** Timers that keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('a process whose shutdown is under way', () => {
  it.each<[string, () => Promise<string>, string]>([
    ['ends', () => Promise.resolve('done'), 'done'],
    ['fails', () => Promise.reject(new Error('broken')), 'broken'],
  ])('is kept alive until the work %s, and no longer', async (_how, work, expected) => {
    const before = timers();
    let during = 0;
    const outcome = await stayAlive(async () => {
      during = timers();
      return work();
    }).catch(({ message }: Error) => message);
    expect(outcome).toBe(expected);
    expect(during).toBe(before + 1);
    expect(timers()).toBe(before);
  });
});
