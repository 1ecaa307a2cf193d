import { describe, expect, it } from '@jest/globals';
import { repeatsAndBursts } from '../../../../../lib/core/access/spam/repeats-and-bursts.js';
import type { SpamVerdict } from '../../../../../lib/core/ports/spam.js';
import { floods, ordinaryChat, type ChatLine } from '../../../../support/spam/corpus.js';

function verdicts(lines: readonly ChatLine[]): SpamVerdict[] {
  const detector = repeatsAndBursts();
  return lines.map(
    ({ at, user, session, channel, text }) =>
      detector.judge({
        user: { id: user },
        session: `${user}-${session}`,
        address: '203.0.113.7',
        channel,
        pattern: 'rooms.:room',
        event: 'said',
        payload: { text },
        ts: at,
      }) as SpamVerdict,
  );
}

describe('the detector of repeats and bursts', () => {
  it('lets every line of an ordinary chat pass', () => {
    const lines = ordinaryChat();
    expect(lines.length).toBeGreaterThan(2_000);
    const refused = verdicts(lines).flatMap((verdict, index) => (verdict === 'allow' ? [] : [lines[index]]));
    expect(refused).toEqual([]);
  });

  it.each(floods().map(({ name, publishes }) => [name, publishes] as const))(
    'finds the flood: %s',
    (_, publishes) => {
      const found = verdicts(publishes).filter((verdict) => verdict === 'escalate');
      expect(found.length).toBeGreaterThanOrEqual(4);
    },
  );
});
