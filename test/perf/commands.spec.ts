import { describe, expect, it } from '@jest/globals';
import { ENGINE_DEFAULTS } from '../../lib/core/ports/settings-defaults.js';
import { probe } from './probe.js';

interface Commands {
  readonly replies: number;
  readonly promises: number;
  readonly timers: number;
  readonly brokerCalls: Readonly<Record<string, number>>;
}

/** Per command: the engine's own timers, a tick of its wheel or two, may fall into the run on a slow machine. */
const AMBIENT = 0.01;

describe('work per command of a client', () => {
  it('a request whose handler answers synchronously needs no promise, timer or broker call', () => {
    expect(probe<Commands>('requests', { type: 'request', event: 'add' })).toEqual({
      replies: 1_000,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
      brokerCalls: {},
    });
  });

  it('an @OnRequest method without enhancers needs no promise or timer', () => {
    expect(probe<Commands>('nest-requests', { event: 'add' })).toEqual({
      replies: 50,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
    });
  });

  it('an asynchronous @OnRequest method is detected (control)', () => {
    const { promises, timers } = probe<Commands>('nest-requests', { event: 'addLater' });
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('an asynchronous handler is detected (control)', () => {
    const { replies, promises, timers } = probe<Commands>('requests', { type: 'request', event: 'addLater' });
    expect(replies).toBe(1_000);
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('publishes need no timer, few promises and one append for all that may be under way', () => {
    const { replies, promises, timers, brokerCalls } = probe<Commands>('requests', {
      type: 'publish',
      event: 'said',
      paced: false,
    });
    expect(replies).toBe(1_000);
    expect(timers).toBeLessThan(AMBIENT);
    expect(promises).toBeLessThanOrEqual(3.1);
    const { maxInFlight } = ENGINE_DEFAULTS.limits;
    expect(brokerCalls).toEqual({ appendMany: Math.ceil(1_000 / maxInFlight) });
  });

  it('publishes that wait for turns of the event loop are handed to the broker together too', () => {
    const { replies, promises, brokerCalls } = probe<Commands>('requests', {
      type: 'publish',
      event: 'said',
    });
    expect(replies).toBe(1_000);
    expect(promises).toBeLessThanOrEqual(3.5);
    // A call for each turn of two milliseconds, however slow the machine is; one for each publish would be a thousand.
    expect(brokerCalls['appendMany']).toBeLessThan(500);
  });
});
