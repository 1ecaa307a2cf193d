import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../../../lib/core/ports/connection.js';
import { ReadingPause } from '../../../../lib/core/session/reading-pause.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('pauses in reading', () => {
  it('a command that begins after the end does not pause: the closing handshake must be read (G16)', () => {
    const calls: string[] = [];
    const connection = {
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
    } as unknown as Connection;
    const reading = new ReadingPause(connection, {
      clock: new ManualClock(),
      settings: { limits: { maxInFlight: 2 } },
    });
    reading.begin();
    reading.begin();
    reading.stop();
    reading.begin();
    expect(calls).toEqual(['pause', 'resume']);
    expect(reading.isPaused).toBe(false);
  });

  it('tells once whether it paused since it was asked last, also when it reads again', () => {
    const connection = { pause: () => undefined, resume: () => undefined } as unknown as Connection;
    const settings = { limits: { maxInFlight: 2 } };
    const reading = new ReadingPause(connection, { clock: new ManualClock(), settings });
    expect(reading.takePause()).toBe(false);
    reading.hold();
    expect([reading.isPaused, reading.takePause(), reading.takePause()]).toEqual([true, true, true]);
    reading.holdForTurn();
    reading.endHold();
    reading.endHoldForTurn();
    expect([reading.isPaused, reading.takePause(), reading.takePause()]).toEqual([false, true, false]);
  });

  it('what was put back is a reason of its own', () => {
    const connection = { pause: () => undefined, resume: () => undefined } as unknown as Connection;
    const settings = { limits: { maxInFlight: 2 } };
    const reading = new ReadingPause(connection, { clock: new ManualClock(), settings });
    reading.holdMuch();
    reading.holdForTurn();
    reading.endHoldForTurn();
    expect([reading.isPaused, reading.takePause()]).toEqual([true, true]);
    reading.hold();
    reading.endHoldMuch();
    expect(reading.isPaused).toBe(true);
    reading.endHold();
    expect([reading.isPaused, reading.takePause(), reading.takePause()]).toEqual([false, true, false]);
  });

  it('the rest of a large message is a reason of its own, which counts once', () => {
    const connection = { pause: () => undefined, resume: () => undefined } as unknown as Connection;
    const settings = { limits: { maxInFlight: 2 } };
    const reading = new ReadingPause(connection, { clock: new ManualClock(), settings });
    expect([reading.holdWithin(), reading.holdWithin(), reading.isPaused]).toEqual([true, false, true]);
    reading.hold();
    reading.endHoldWithin();
    expect(reading.isPaused).toBe(true);
    reading.endHold();
    expect([reading.isPaused, reading.takePause(), reading.takePause()]).toEqual([false, true, false]);
    expect(reading.holdWithin()).toBe(true);
  });
});
