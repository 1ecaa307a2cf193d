// How slow the machine is while the tests run. scripts/test.mjs measures it once and hands it to jest and to the tests as
// TEST_SLOWNESS; every time-out of the tests is a multiple of it (test/support/patience.ts).
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker, workerData } from 'node:worker_threads';

const ROUNDS = 50_000_000;
/** What they take on an idle core of the machine on which the limits of the tests were chosen. */
const REFERENCE_MS = 60;
const SAMPLES = 8;
/** Beyond this the tests would rather fail than wait. */
const MOST = 12;
/** Other work may begin after the measurement. A limit that only a failing test reaches may be generous. */
const MARGIN = 3;

const SAMPLING = 'sampling of slowness';

/** How many times slower than the reference this machine is, 1 at least: `TEST_SLOWNESS`, or 1 where nobody measured. */
export function slowness(env = process.env) {
  const given = env.TEST_SLOWNESS;
  if (given === undefined || given === '') return 1;
  const value = Number(given);
  if (!(value >= 1) || value === Infinity)
    throw new Error(`TEST_SLOWNESS must be a number of at least 1, and finite, not "${given}"`);
  return value;
}

/**
 * The longest time to wait for something that an idle machine does in `ms`.
 *
 * @param {number} ms
 */
export function patience(ms) {
  return Math.ceil(ms * MARGIN * slowness());
}

/**
 * Measures {@link slowness}: the same work on every core at once, as tests and their servers have it.
 *
 * @returns {Promise<number>} 1 to 12
 */
export async function measureSlowness() {
  const workers = Array.from({ length: availableParallelism() }, sampleInWorker);
  const means = await Promise.all(workers);
  return slownessOf(Math.max(...means));
}

/**
 * @param {number} ms what a sample took
 * @returns {number} 1 to 12, with one decimal
 */
export function slownessOf(ms) {
  return Math.min(MOST, Math.max(1, Math.round((10 * ms) / REFERENCE_MS) / 10));
}

function sampleInWorker() {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: SAMPLING });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** A fixed piece of work that no compiler can leave out. */
function work() {
  let hash = 1;
  for (let round = 0; round < ROUNDS; round++) hash = Math.imul(hash ^ round, 0x01000193) >>> 0;
  return hash;
}

if (workerData === SAMPLING) {
  // The first call is compiled while it runs.
  work();
  const start = performance.now();
  for (let sample = 0; sample < SAMPLES; sample++) work();
  parentPort.postMessage((performance.now() - start) / SAMPLES);
}
