import { beforeEach, describe, expect, it } from '@jest/globals';
import { BrokerCondition } from '../../../../lib/core/engine/broker-condition.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';

describe('how the broker is', () => {
  let clock: ManualClock;
  let logger: RecordingLogger;
  let states: unknown[];
  let backs: number;
  let condition: BrokerCondition;
  const lines = () => logger.records.map(({ level, message }) => `${level} ${message}`);

  beforeEach(() => {
    clock = new ManualClock();
    logger = new RecordingLogger();
    states = [];
    backs = 0;
    condition = new BrokerCondition({
      logger,
      clock,
      observer: { onBrokerState: (...state) => states.push(state) },
      onBack: () => backs++,
    });
  });

  it('is said when it changes, with the reason while it is away (G21)', () => {
    condition.note('up', undefined);
    condition.note('down', 'a cut');
    condition.note('down', 'another');
    expect(condition).toMatchObject({ state: 'down', reason: 'a cut' });
    expect(backs).toBe(0);
    condition.note('up', 'no reason counts now');
    expect(condition).toMatchObject({ state: 'up', reason: undefined });
    expect(backs).toBe(1);
    condition.note('down', undefined);
    expect(lines()).toEqual([
      'warn The broker is away: a cut',
      'log The broker is back',
      'warn The broker is away: it gives no reason',
    ]);
    expect(states).toEqual([
      ['down', 'a cut'],
      ['up', 'no reason counts now'],
      ['down', undefined],
    ]);
  });

  it('names what is refused once, and says when it is over (G20)', () => {
    for (let time = 0; time < 3; time++) condition.noteRefusal('OOM');
    expect(condition).toMatchObject({ state: 'up', refusal: 'OOM' });
    condition.noteRefusal(undefined);
    condition.noteRefusal(undefined);
    expect(condition.refusal).toBeUndefined();
    expect(lines()).toEqual([
      'warn The broker refuses what is written to it: OOM',
      'log The broker takes what is written again',
    ]);
    expect(states).toEqual([]);
  });

  it('that changes every moment does not flood the log, and what is logged last is true', () => {
    for (let time = 0; time < 1_000; time++) {
      condition.noteRefusal('OOM');
      condition.noteRefusal(undefined);
      clock.advance(15);
    }
    expect(lines()).toEqual([
      'warn The broker refuses what is written to it: OOM',
      'log The broker takes what is written again',
      expect.stringMatching(/^warn The broker refuses what is written to it: OOM \(\d+ more of this kind/),
      'log The broker takes what is written again',
    ]);
  });
});
