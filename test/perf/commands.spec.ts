import { describe, expect, it } from '@jest/globals';
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
  it('is no promise, timer or broker call for a request whose handler answers synchronously', () => {
    expect(probe<Commands>('requests', { type: 'request', event: 'add' })).toEqual({
      replies: 1_000,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
      brokerCalls: {},
    });
  });

  it('is no promise or timer for an @OnRequest method without enhancers', () => {
    expect(probe<Commands>('nest-requests', { event: 'add' })).toEqual({
      replies: 50,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
    });
  });

  it('is detected for an asynchronous @OnRequest method (control)', () => {
    const { promises, timers } = probe<Commands>('nest-requests', { event: 'addLater' });
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('is detected for an asynchronous handler (control)', () => {
    const { replies, promises, timers } = probe<Commands>('requests', { type: 'request', event: 'addLater' });
    expect(replies).toBe(1_000);
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('is no timer, few promises and one append per turn for publishes', () => {
    const { replies, promises, timers, brokerCalls } = probe<Commands>('requests', {
      type: 'publish',
      event: 'said',
    });
    expect(replies).toBe(1_000);
    expect(timers).toBeLessThan(AMBIENT);
    expect(promises).toBeLessThanOrEqual(3.1);
    expect(brokerCalls).toEqual({ appendMany: 1 });
  });
});
