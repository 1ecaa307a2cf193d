import { moveOf } from './outcome.mjs';
import { pause, RollingSite } from './site.mjs';

const POLL_MS = 250;
/** Share of the clients that a node has when the two are balanced. */
const BALANCED = 0.45;

/**
 * One node, then two, then one again, under load. Connections of the first come back when they are old (`maxConnectionAge`), and so find
 * the second.
 *
 * @param {import('./site.mjs').SiteSettings} settings of one node.
 * @param {{ calmMs: number, balanceMs: number }} times `balanceMs`: how long the clients may take to spread over both.
 */
export async function scaleOutAndIn(settings, { calmMs, balanceMs }) {
  const site = await RollingSite.start({ ...settings, nodes: 1 });
  try {
    await site.connect();
    await site.publish();
    await pause(calmMs);
    const stages = [{ stage: 'one node', nodes: await site.connectionsOfNodes() }];
    await site.measure();
    const second = await site.addNode();
    const began = performance.now();
    const balanced = () => performance.now() - began;
    let nodes = await site.connectionsOfNodes();
    while (Math.min(...nodes) < BALANCED * settings.clients && balanced() < balanceMs) {
      await pause(POLL_MS);
      nodes = await site.connectionsOfNodes();
    }
    const balancedMs = balanced();
    await site.allLive();
    await pause(calmMs);
    stages.push({ stage: 'two nodes', nodes, tookMs: balancedMs, ...moveOf(await site.measure()) });
    const ended = await site.endNode(second);
    await site.allLive();
    await pause(calmMs);
    nodes = await site.connectionsOfNodes();
    stages.push({ stage: 'one node again', nodes, ...ended, ...moveOf(await site.measure()) });
    return { ...(await site.settle()), stages, lines: site.lines };
  } finally {
    await site.stop();
  }
}
