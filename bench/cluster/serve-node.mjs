import { serve, settings, unaccounted } from '../support/server-side.mjs';

/**
 * Serves one of several nodes that share their channels.
 *
 * @param {object} node
 * @param {() => Promise<number>} node.listen Resolves with the port.
 * @param {(payload: unknown, way?: string) => unknown} node.publish Hands one event to every subscriber of every node, in the way
 * that the turn asks for.
 * @param {() => number} node.written Bytes that all sockets of this node were given so far.
 */
export function serveNode({ listen, publish, written }) {
  const payload = 'x'.repeat(settings.bytes);
  return serve(listen, {
    async turn({ events, way }) {
      const published = [];
      for (let event = 0; event < events; event++) published.push(publish(payload, way));
      await Promise.all(published);
    },
    written: () => ({ written: unaccounted(written) }),
  });
}
