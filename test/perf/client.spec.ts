import { describe, expect, it } from '@jest/globals';
import { probe } from './probe.js';

const RECONNECTS = 1_000;
const CYCLES = 10_000;
/** Bytes of heap for each: what tables that grow, and compiled code, may still take. One small object would be more. */
const MAX_BYTES = 60;

interface Growth {
  readonly perReconnect: number;
  readonly perCycle: number;
  readonly counted: number;
}

const grown = (hoarding: boolean): Growth =>
  probe<Growth>('client', { hoarding, reconnects: RECONNECTS, cycles: CYCLES }, ['--expose-gc']);

describe('the heap of a client', () => {
  it('is flat over 1,000 reconnects, and over 10,000 subscribes that are given back', () => {
    const { perReconnect, perCycle, counted } = grown(false);
    expect(counted).toBeGreaterThanOrEqual(RECONNECTS);
    expect(perReconnect).toBeLessThan(MAX_BYTES);
    expect(perCycle).toBeLessThan(MAX_BYTES);
  });

  it('an array of 64 numbers for each is detected (control)', () => {
    const { perReconnect, perCycle } = grown(true);
    expect(perReconnect).toBeGreaterThan(MAX_BYTES);
    expect(perCycle).toBeGreaterThan(MAX_BYTES);
  });
});
