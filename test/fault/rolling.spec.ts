// Small samples of `npm run bench:rolling`: nodes, balancer, Redis, a service that publishes and clients, each a process of its own.
import { expect, it } from '@jest/globals';
import { rollOut } from '../../bench/rolling/rollout.mjs';
import { scaleOutAndIn } from '../../bench/rolling/scaling.mjs';
import { patience, stretched } from '../support/patience.js';

const DEADLINE_MS = stretched(10_000);
/** What docs/operations.md says that an orchestrator must give. */
const GRACE_MS = DEADLINE_MS + 5_000;

const site = (clients: number, options: Readonly<Record<string, unknown>> = {}) =>
  ({
    contender: 'library',
    clients,
    clientProcesses: 1,
    rooms: 5,
    ticksPerSecond: 20,
    saidPerSecond: 5,
    nodes: 3,
    options,
  }) as const;

it(
  'a rolling restart of three nodes loses, doubles and refuses nothing, and clients come back a few at a time (G3, G18)',
  async () => {
    const { restarts, ...result } = await rollOut(site(120), { steadyMs: 100, calmMs: 300 });
    expect(result).toMatchObject({ lost: 0, doubled: 0, disordered: 0, gaps: 0, failed: [], lines: [] });
    expect(result.recoveries).toEqual({ new: 120, complete: 120 });
    expect(result.expected).toBeGreaterThan(120 * 50);
    for (const restart of restarts) {
      expect(restart).toMatchObject({ exit: 0, absent: 0, moved: 40, connects: 40, refused: 0 });
      expect(restart.tookMs).toBeLessThan(GRACE_MS);
      // Four of them every 50 ms.
      expect(restart.overMs).toBeGreaterThan(300);
    }
  },
  patience(60_000),
);

it(
  'a second node gets its share of the clients as connections become old, and gives them back when it ends, without a loss (G3, G18)',
  async () => {
    const { stages, ...result } = await scaleOutAndIn(site(60, { maxConnectionAge: '3s' }), {
      calmMs: 300,
      balanceMs: patience(20_000),
    });
    expect(result).toMatchObject({ lost: 0, doubled: 0, disordered: 0, gaps: 0, failed: [], lines: [] });
    const [one, two, again] = stages;
    expect(one?.nodes).toEqual([60]);
    for (const connections of two?.nodes ?? []) expect(connections).toBeGreaterThanOrEqual(27);
    expect(again).toMatchObject({ nodes: [60], exit: 0 });
  },
  patience(60_000),
);
