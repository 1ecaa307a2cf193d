import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { patience } from '../patience.js';
import { runOnSite, type OrderedSite } from './ordered-site.js';
import { CLIENTS, print, SEED } from './scenario.js';

const MINUTES = Number(process.env['MINUTES'] ?? 0);
/** One name of a fault, to look at it alone. */
const ONLY = process.env['FAULT'];
/** Of the sample. */
const FEW_CLIENTS = 30;
/** Of a random round. */
const FAULTS = 6;
const SECONDS = 1_000;

/** What of a site is tried without further ado. */
export interface SiteSample {
  readonly keeping: readonly string[];
  readonly losing: readonly string[];
}

/**
 * Three server processes over an ordered log, clients spread over them, a publisher per node, and faults under load, judged by the history
 * checker. A sample by default; with MINUTES=n each fault alone with 200 clients (FAULT_CLIENTS for another number), and random ones one
 * after the other until the time is over. FAULT_SEED=n begins elsewhere, FAULT=name tries one.
 */
export function describeOrderedFaults(
  name: string,
  start: () => Promise<OrderedSite>,
  sample: SiteSample,
): void {
  describe(`many nodes over ${name}`, () => {
    let site: OrderedSite;
    const isLong = MINUTES > 0;

    beforeAll(
      async () => {
        site = await start();
      },
      patience(120 * SECONDS),
    );

    afterAll(async () => site?.dispose());

    const keep = async (names: readonly string[], clients: number): Promise<void> => {
      const report = await runOnSite(site, names, new SeededEntropy(SEED), clients);
      expect(report).toMatchObject({ losses: 0, gaps: 0, truncations: 0, refused: 0 });
      expect(report.acknowledged).toBeGreaterThan(0);
    };
    const lose = async (names: readonly string[], clients: number): Promise<void> => {
      const report = await runOnSite(site, names, new SeededEntropy(SEED), clients);
      expect(report).toMatchObject({ gaps: 0, truncations: 0, refused: 0 });
      expect(report.losses).toBeGreaterThan(0);
    };

    if (ONLY !== undefined) {
      it(
        `${ONLY} is survived without a violation (G3, G6)`,
        async () => {
          const names = ONLY.split(' ');
          await (names.some((one) => one in site.losing) ? lose : keep)(names, CLIENTS);
        },
        patience(180 * SECONDS),
      );
      return;
    }

    it(
      'nothing is lost, doubled or out of order when nodes and servers fail and come back (G1, G3, G6, G21)',
      async () => {
        if (!isLong) return keep(sample.keeping, FEW_CLIENTS);
        for (const fault of Object.keys(site.faults)) await keep([fault], CLIENTS);
      },
      patience((120 + (isLong ? 600 : 0)) * SECONDS),
    );

    it(
      'what the log has lost is announced to every client (G6)',
      async () => {
        if (!isLong) return lose(sample.losing, FEW_CLIENTS);
        for (const fault of Object.keys(site.losing)) await lose([fault], CLIENTS);
      },
      patience((120 + (isLong ? 300 : 0)) * SECONDS),
    );

    if (!isLong) return;
    it(
      'random faults are survived without a violation, whatever comes after what (G1, G3, G6, G21)',
      async () => {
        const until = performance.now() + MINUTES * 60 * SECONDS;
        let rounds = 0;
        for (let seed = SEED; rounds === 0 || performance.now() < until; seed += 1) {
          const entropy = new SeededEntropy(seed);
          const all = { ...site.faults, ...(seed % 2 === 0 ? site.losing : {}) };
          const names = Array.from({ length: FAULTS }, () => entropy.pick(Object.keys(all)));
          const report = await runOnSite(site, names, entropy, CLIENTS);
          expect(report).toMatchObject({ gaps: 0, truncations: 0, refused: 0 });
          rounds += 1;
        }
        print(`${name}, random faults`, { rounds, faults: rounds * FAULTS });
        expect(rounds).toBeGreaterThan(0);
      },
      patience(300 * SECONDS + MINUTES * 60 * SECONDS),
    );
  });
}
