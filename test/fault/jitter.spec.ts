// A sample of `npm run bench:jitter`, in one process and with short times: two nodes over one log, clients of the library on every
// transport, and lines that are cut or go silent. JITTER_SEED=n runs another one, which must hold as well.
import { describe, expect, it } from '@jest/globals';
import type { TransportName } from '../../lib/client/transport/fallback.js';
import { describeViolations } from '../support/fault/history-checker.js';
import { playJitter, type Cut } from '../support/fault/jitter.js';
import { print } from '../support/fault/scenario.js';
import { patience, stretched } from '../support/patience.js';

const SEED = Number(process.env['JITTER_SEED'] ?? 1);
const CLIENTS = Number(process.env['JITTER_CLIENTS'] ?? 12);
const EVERY_MS = stretched(600);
const CUTS: readonly Cut[] = ['reset', 'reset', 'silent', 'reset', 'deaf', 'reset'];

describe('clients whose connections are cut again and again', () => {
  it.each<TransportName>(['websocket', 'sse', 'polling'])(
    'over %s they get every event once and in order, and no publish is lost or doubled (G2, G3, G4, P15, P17)',
    async (transport) => {
      const { report, cuts } = await playJitter({
        seed: SEED,
        transports: [transport],
        clients: CLIENTS,
        cuts: CUTS,
        everyMs: EVERY_MS,
      });
      const { violations, published, delivered } = report;
      print(`jitter, ${transport}, seed ${SEED}`, { cuts, published, delivered, violations });
      expect(describeViolations(violations)).toBe(describeViolations([]));
      expect(report).toMatchObject({ gaps: 0, losses: 0, truncations: 0, resets: 0, unknown: 0, refused: 0 });
      // The others found a client that had not come back yet.
      expect(cuts).toBeGreaterThan(2 * CLIENTS);
    },
    patience(60_000),
  );
});
