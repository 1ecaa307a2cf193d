import { describe, expect, it } from '@jest/globals';
import { containerBytes, OwnProcess } from '../../../../lib/core/engine/overload/process-sampler.js';
import { stretched } from '../../../support/patience.js';
import { until } from '../../../support/until.js';

const GIB = 1024 ** 3;
const BUSY_MS = stretched(60);

describe('the reading of the process (G33)', () => {
  it('a limit of the container counts where it is below the memory of the machine', () => {
    expect(containerBytes(2 * GIB, 8 * GIB)).toBe(2 * GIB);
    for (const none of [undefined, 0, 8 * GIB, 2 ** 64])
      expect(containerBytes(none, 8 * GIB)).toBeUndefined();
  });

  it('the memory is the larger of the shares of what the process may hold, and of the heap', () => {
    const rss = process.memoryUsage.rss();
    expect(new OwnProcess(rss / 2).read().memory).toBeGreaterThan(1.5);
    const heap = new OwnProcess(1_000 * GIB).read().memory;
    expect(heap).toBeGreaterThan(0.001);
    expect(heap).toBeLessThan(1);
  });

  it('says how late the event loop was since the last reading, and nothing once it has stopped', async () => {
    const sampler = new OwnProcess();
    expect(sampler.read().loopDelayMs).toBe(0);
    sampler.start();
    for (let turn = 0; turn < 5; turn++) await standStill();
    expect(sampler.read().loopDelayMs).toBeGreaterThan(BUSY_MS / 2);
    await until('a loop that is on time', () => sampler.read().loopDelayMs < BUSY_MS / 2);
    sampler.stop();
    expect(sampler.read().loopDelayMs).toBe(0);
  });

  it('says so at each reading of a loop that comes to one turn between two', async () => {
    const sampler = new OwnProcess();
    sampler.start();
    const delays: number[] = [];
    for (let reading = 0; reading < 5; reading++) {
      await standStill();
      delays.push(sampler.read().loopDelayMs);
    }
    sampler.stop();
    expect(Math.min(...delays)).toBeGreaterThan(BUSY_MS / 2);
  });

  it('a reading counts no time of the one before it', async () => {
    const sampler = new OwnProcess();
    sampler.start();
    await standStill();
    expect(sampler.read().loopDelayMs).toBeGreaterThan(BUSY_MS / 2);
    expect(sampler.read().loopDelayMs).toBeLessThan(BUSY_MS / 2);
    sampler.stop();
  });

  it('a reading right behind another one has no delay, and none below zero', () => {
    const sampler = new OwnProcess();
    sampler.start();
    for (let reading = 0; reading < 5; reading++)
      expect(sampler.read().loopDelayMs).toBeGreaterThanOrEqual(0);
    sampler.stop();
  });

  it('the time before the start is in no reading', async () => {
    const sampler = new OwnProcess();
    await standStill();
    sampler.start();
    expect(sampler.read().loopDelayMs).toBeLessThan(BUSY_MS / 2);
    sampler.stop();
  });
});

/** One turn of the event loop that takes long. */
async function standStill(): Promise<void> {
  const end = performance.now() + BUSY_MS;
  while (performance.now() < end);
  await new Promise((resolve) => setImmediate(resolve));
}
