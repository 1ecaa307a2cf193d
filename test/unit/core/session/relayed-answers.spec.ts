import { describe, expect, it } from '@jest/globals';
import { RelayedAnswers } from '../../../../lib/core/session/relayed-answers.js';

const MB = 1024 * 1024;

describe('answers of other nodes', () => {
  it('count as what waits at this node, and the address that reads least is cut above a quarter of it (G13)', () => {
    let waiting = 0;
    const warnings: string[] = [];
    const answers = new RelayedAnswers({
      limits: { maxBytesPerNode: 16 * MB },
      budget: { change: (bytes) => (waiting += bytes) },
      journal: { warn: (_kind, text) => warnings.push(text()) },
    });
    const cut: string[] = [];
    const sender = (network: string) => ({ network, client: network, shed: () => cut.push(network) });
    const honest = sender('honest');
    answers.note(honest, MB);
    for (let count = 0; count < 3; count++) answers.note(sender('deaf'), MB);
    expect([waiting, cut]).toEqual([4 * MB, []]);
    answers.note(sender('deaf'), MB);
    expect([waiting, cut]).toEqual([4 * MB, ['deaf']]);
    expect(warnings.join()).toContain('outbox.maxBytesPerNode');
    answers.note(honest, 0);
    expect(waiting).toBe(3 * MB);
  });
});
