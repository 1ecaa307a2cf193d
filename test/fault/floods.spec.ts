// A sample of `npm run bench:floods`, two seconds each: attackers on raw sockets, a node with default options and a heap of
// 192 MB, and a neighbour that keeps every rule. FLOOD_SEED for other random choices of the attackers.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FloodSite } from '../../bench/floods/flood-site.mjs';
import { floods, type Flood, type FloodedNode } from '../../bench/floods/floods.mjs';
import { faultsOf } from '../../bench/floods/verdict.mjs';
import { patience, stretched } from '../support/patience.js';

const FLOOD_MS = 2_000;
const IDLE_MS = 250;
/** Far above what an idle machine shows: attackers, node and neighbour share two cores with whatever else runs. */
const PING_MS = stretched(500);
const TIMEOUT_MS = patience(30_000);
const seed = Number(process.env.FLOOD_SEED ?? 1);

const SAMPLE = [
  'empty-frames',
  'endless-fragments',
  'pong-envelopes',
  'packed-frames',
  'malformed-envelopes',
  'unfinished-messages',
  'frames-behind-the-end',
  'fat-params',
  'fat-presence',
  'new-channels-anonymous',
  'unknown-names-packed',
  'subscribe-cycles',
  'connects-invalid',
  'auth-storm',
  'streams-stuck',
  'streams-cross-site',
  'slow-heads',
];
const COMPRESSED = ['compression-bombs'];

describe('a flooded node survives within its memory, and its other clients lose nothing', () => {
  flooding('with default options', SAMPLE);
  flooding('with compression', COMPRESSED, { options: { compression: true } });
});

/** One node for all of them, as on the open internet. */
function flooding(setting: string, names: readonly string[], node: FloodedNode = {}): void {
  describe(setting, () => {
    let site: FloodSite;

    beforeAll(async () => {
      site = await FloodSite.start({ node, seed });
    }, TIMEOUT_MS);
    afterAll(() => site.stop());

    it.each(names.map(floodOf))(
      '$title (G13, G16)',
      async (flood) => {
        const result = await site.run(flood, { floodMs: FLOOD_MS, idleMs: IDLE_MS });
        expect({ faults: faultsOf(result, flood, { pingMs: PING_MS }), result }).toMatchObject({
          faults: [],
        });
      },
      TIMEOUT_MS,
    );
  });
}

function floodOf(name: string): Flood {
  const flood = floods.find((one) => one.name === name);
  if (flood === undefined) throw new Error(`There is no flood "${name}"`);
  return flood;
}
