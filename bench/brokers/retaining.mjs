import { fileURLToPath } from 'node:url';
import { startServer } from '../support/server-process.mjs';

const script = fileURLToPath(new URL('node.process.mjs', import.meta.url));
const NODES_CORE = 0;
/** So long until a server has written what it had. */
const SETTLE_MS = 3_000;
const flags = { core: NODES_CORE, nodeOptions: ['--max-old-space-size=8192'] };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * What an event takes that is kept, in a node and in the server, and how long a further node needs to start beside so many. Each time with a
 * server that was empty.
 *
 * @param {{ name: string, kind: string, server: () => Promise<object | undefined> }} contender
 */
export async function measureRetaining({ kind, server: startServerOf }, { events, channels, bytes }) {
  const server = await startServerOf();
  const settings = { kind, address: server?.address, channels, bytes };
  const processes = [];
  const node = async () => {
    const startedAt = performance.now();
    const made = await startServer(script, settings, flags);
    processes.push(made);
    return { ...made, ms: performance.now() - startedAt };
  };
  try {
    const first = await node();
    const before = await look(first, server);
    await first.ask({ type: 'fill', count: events });
    await pause(SETTLE_MS);
    const after = await look(first, server);
    const each = (field) => (after[field] - before[field]) / events;
    const figures = { node: each('node'), memory: each('memory'), disk: each('disk'), emptyMs: first.ms };
    if (kind === 'memory') return figures;
    const second = await node();
    const readAt = performance.now();
    await second.ask({ type: 'read' });
    return { ...figures, startMs: second.ms, readMs: performance.now() - readAt };
  } finally {
    for (const { stop } of processes) stop();
    await server?.stop();
  }
}

async function look({ ask }, server) {
  const { heapUsed, external } = await ask({ type: 'memory' });
  return {
    node: heapUsed + external,
    memory: await server?.memoryBytes(),
    disk: server?.diskBytes(),
  };
}
