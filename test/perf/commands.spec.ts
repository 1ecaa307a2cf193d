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

describe('what a command of a client sets in motion', () => {
  it('is no promise, timer or broker call for a request whose handler answers at once', () => {
    expect(probe<Commands>('requests', { type: 'request', event: 'add' })).toEqual({
      replies: 1_000,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
      brokerCalls: {},
    });
  });

  it('is no promise or timer for an @OnRequest method with nothing bound to it', () => {
    expect(probe<Commands>('nest-requests', { event: 'add' })).toEqual({
      replies: 50,
      promises: expect.closeTo(0, 1),
      timers: expect.closeTo(0, 1),
    });
  });

  it('control: an asynchronous @OnRequest method is found', () => {
    const { promises, timers } = probe<Commands>('nest-requests', { event: 'addLater' });
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('control: an asynchronous handler is found', () => {
    const { replies, promises, timers } = probe<Commands>('requests', { type: 'request', event: 'addLater' });
    expect(replies).toBe(1_000);
    expect(promises).toBeGreaterThanOrEqual(1);
    expect(timers).toBeGreaterThanOrEqual(1);
  });

  it('is for a publish no timer, few promises, and one append for all of a turn', () => {
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
