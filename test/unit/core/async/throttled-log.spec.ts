import { describe, expect, it } from '@jest/globals';
import { ThrottledLog } from '../../../../lib/core/async/throttled-log.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';

const INTERVAL_MS = 10_000;
const MAX_KINDS = 256;

function open() {
  const clock = new ManualClock();
  const logger = new RecordingLogger();
  const log = new ThrottledLog(logger, clock);
  const lines = () => logger.records.splice(0).map(({ message }) => message);
  return { clock, log, lines };
}

describe('ThrottledLog', () => {
  it('tells 256 kinds apart, and writes one line for all that are more', () => {
    const { log, lines } = open();
    for (let kind = 1; kind <= MAX_KINDS; kind++) log.warn(`kind${kind}`, () => `line ${kind}`);
    expect(lines()).toHaveLength(MAX_KINDS);
    log.warn('kind257', () => 'first of the others');
    log.warn('kind258', () => 'second of the others');
    log.warn(`kind${MAX_KINDS}`, () => 'known, and too early');
    expect(lines()).toEqual(['first of the others']);
  });

  it('writes the next line of each kind, and of all others together, after ten seconds', () => {
    const { clock, log, lines } = open();
    for (let kind = 1; kind <= MAX_KINDS + 3; kind++) log.warn(`kind${kind}`, () => '');
    lines();
    clock.advance(INTERVAL_MS - 1);
    log.warn('kind1', () => 'early');
    expect(lines()).toEqual([]);
    clock.advance(1);
    log.warn('kind1', () => 'again');
    log.warn('kind900', () => 'others');
    expect(lines()).toEqual([
      'again (1 more of this kind since the last line)',
      'others (2 more of this kind since the last line)',
    ]);
    clock.advance(INTERVAL_MS);
    log.warn('kind1', () => 'third');
    expect(lines()).toEqual(['third']);
  });

  it('makes no message that is not written', () => {
    const { log } = open();
    let made = 0;
    for (let line = 0; line < 5; line++) log.warn('kind', () => `${++made}`);
    expect(made).toBe(1);
  });
});
