import { readFileSync } from 'node:fs';
import { pause } from './army.mjs';
import { Child } from './child.mjs';

/** Heap of the node in megabytes: small, so that whatever is not bounded shows. */
export const HEAP_MB = 192;
/** How long a node that is far behind may take for its last figures. */
const LAST_WORDS_MS = 30_000;

/** A node, a neighbour and the attackers, each a process of its own, for one flood or several in a row. */
export class FloodSite {
  #children = [];
  #floods = 0;
  /** Lines of the log before the first flood. */
  #bootLines;

  /**
   * @param {object} [options]
   * @param {object} [options.node] As in a flood.
   * @param {number} [options.seed] Default 1.
   * @param {boolean} [options.pin] Whether the node has a core of its own. Default false.
   */
  static async start({ node = {}, seed = 1, pin = false } = {}) {
    const site = new FloodSite();
    try {
      site.node = await site.#add('node.process.mjs', node, {
        nodeOptions: ['--expose-gc', `--max-old-space-size=${HEAP_MB}`],
        ...(pin && { core: 0 }),
      });
      const { port } = site.node.ready;
      const core = pin ? { core: 1 } : {};
      [site.neighbour, site.attackers] = await Promise.all([
        site.#add('neighbour.process.mjs', { port }, core),
        site.#add('attacker.process.mjs', { port, seed }, core),
      ]);
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  /**
   * @param {import('./floods.mjs').Flood} flood
   * @param {object} options
   * @param {number} options.floodMs
   * @param {number} options.idleMs For how long the neighbour is watched before, and after.
   */
  async run({ name, title }, { floodMs, idleMs }) {
    const { node, neighbour, attackers } = this;
    // Nobody of an earlier flood is known at these addresses.
    const network = `127.${++this.#floods}.0`;
    const address = `${network}.1`;
    const passes = (ms) => Promise.race([pause(ms), node.gone]);
    const watch = async (ms) => {
      await neighbour.ask('begin', { address });
      await passes(ms);
      return await neighbour.ask('end');
    };
    const idle = await watch(idleMs);
    await neighbour.ask('losses');
    const base = await node.ask('begin');
    const before = usageOf(node);
    const linesBefore = node.lines.length;
    this.#bootLines ??= linesBefore;
    await neighbour.ask('begin');
    await attackers.ask('start', { name, network });
    await passes(floodMs);
    const during = await neighbour.ask('end');
    const after = usageOf(node);
    const asked = performance.now();
    const last = await node.ask('end', {}, LAST_WORDS_MS);
    const lateMs = performance.now() - asked;
    const attack = await attackers.ask('stop');
    const settled = await watch(idleMs);
    const losses = await neighbour.ask('losses');
    const survived = !node.ended;
    return {
      name,
      title,
      survived,
      ...(!survived && { exit: node.exit, lastWords: node.lines.slice(-12) }),
      memory: last && memoryOf(base, last),
      loop: last && {
        p99: last.loopP99,
        max: last.loopMax,
        turnP99: last.turn.p99,
        turnMax: last.turn.max,
        lateMs,
      },
      cpu: shares(before, after),
      handlers: last?.slowHandlers,
      verifications: last?.verifications,
      authorizations: last?.authorizations,
      neighbour: { idle, during, settled, ...losses },
      attack,
      log: { earlier: linesBefore - this.#bootLines, ...summaryOf(node.lines.slice(linesBefore)) },
    };
  }

  async stop() {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  async #add(...args) {
    const child = await Child.start(...args);
    this.#children.push(child);
    return child;
  }
}

/** Runs one flood at a site of its own. Options as of {@link FloodSite.start} and {@link FloodSite.run}. */
export async function runFlood(flood, options) {
  const site = await FloodSite.start({ ...options, node: flood.node });
  try {
    return await site.run(flood, options);
  } finally {
    await site.stop();
  }
}

/** Megabytes above what the node had before. `held` is what is left after collecting, with the attackers connected. */
function memoryOf(base, last) {
  const megabytes = (bytes) => Math.max(0, bytes) / 1e6;
  return {
    peakRss: megabytes(last.peakRss - base.rss),
    peakHeap: megabytes(last.peakHeap - base.heap),
    peakOutside: megabytes(last.peakOutside - base.outside),
    held: megabytes(last.held.heap - base.heap + last.held.outside - base.outside),
    baseRss: megabytes(base.rss),
  };
}

/** CPU of the node so far, and how long it waited for a processor that others had: in ms, of Linux. */
function usageOf({ pid }) {
  try {
    const [used, waited] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number);
    return { at: performance.now(), used: used / 1e6, waited: waited / 1e6 };
  } catch {
    return { at: performance.now(), used: Number.NaN, waited: Number.NaN };
  }
}

/** Of the time between. The main thread alone: that is the one that serves. */
function shares(before, after) {
  const ms = after.at - before.at;
  return { used: (after.used - before.used) / ms, waited: (after.waited - before.waited) / ms };
}

/** How often the node said what, figures and names left out. */
function summaryOf(lines) {
  const kinds = {};
  for (const line of lines) {
    const kind = line
      .replace(/^\[Nest\].*?(LOG|WARN|ERROR|DEBUG)/, '$1')
      .replace(/[\w-]*(mallory|listener|newcomer)[\w-]*/g, '<user>')
      .replace(/\d[\d.,:]*/g, '#')
      .slice(0, 160);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return {
    lines: lines.length,
    kinds: Object.entries(kinds)
      .sort(([, a], [, b]) => b - a)
      .slice(0, 12),
  };
}
