// A rolling upgrade and the way back, under load: nodes of two versions over one Redis, each a process of its own. UPGRADE_FROM names the
// folder of a checkout of the version before, built and with its packages; without it both are this version.
//   git worktree add ../before <commit> && (cd ../before && npm ci && npm run build)
//   UPGRADE_FROM=../before npm run test:fault -- --testPathPatterns upgrade
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from '@jest/globals';
import { rollOut } from '../../bench/rolling/rollout.mjs';
import { patience, stretched } from '../support/patience.js';

const CLIENTS = Number(process.env.UPGRADE_CLIENTS ?? 60);
const { UPGRADE_FROM } = process.env;
const before =
  UPGRADE_FROM === undefined ? undefined : pathToFileURL(`${resolve(UPGRADE_FROM)}/bench/rolling/`).href;

it(
  'a rolling upgrade, and the way back, lose, double, reorder and refuse nothing (G3, G4, G21)',
  async () => {
    const { restarts, ...result } = await rollOut(
      {
        contender: 'library',
        clients: CLIENTS,
        clientProcesses: 1,
        rooms: 5,
        ticksPerSecond: 20,
        saidPerSecond: 5,
        nodes: 2,
        versions: [before, undefined, before],
        options: { drain: { deadline: `${stretched(10_000)}ms` } },
      },
      { steadyMs: 100, calmMs: 500 },
    );
    if (UPGRADE_FROM !== undefined)
      console.log(JSON.stringify({ ...result, latencies: undefined, restarts }));
    expect(result).toMatchObject({ lost: 0, doubled: 0, disordered: 0, gaps: 0, failed: [], lines: [] });
    expect(result.recoveries).toEqual({ new: CLIENTS, complete: 2 * CLIENTS });
    expect(result.expected).toBeGreaterThan(CLIENTS * 50);
    expect(restarts).toHaveLength(4);
    for (const restart of restarts) expect(restart).toMatchObject({ exit: 0, absent: 0, refused: 0 });
  },
  patience(90_000),
);
