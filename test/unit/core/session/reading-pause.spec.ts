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
});
