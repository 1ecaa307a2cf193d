import { afterEach, describe, expect, it } from '@jest/globals';
import { ProxyProcess } from '../support/proxies/process.js';
import { beginPost, post } from '../support/wire/http-post.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { PROXIES } from './support/behind.js';

let nodes: WireServer[] = [];
let proxy: ProxyProcess;
afterEach(async () => {
  await proxy.close();
  for (const node of nodes) await node.close();
});

describe.each(PROXIES)('a POST through the documented %s', (name) => {
  it.each([
    ['its connection ends without an answer', 'cut'],
    ['it is answered with 503', 503],
  ])('reaches one node, once, although %s: nobody knows whether it ran', async (_, outcome) => {
    let runs = 0;
    const pages = (
      req: { socket: { destroy(): void } },
      res: { writeHead(status: number): { end(): void } },
    ) => {
      runs++;
      if (outcome === 'cut') req.socket.destroy();
      else res.writeHead(Number(outcome)).end();
    };
    nodes = [await startWireServer({ pages }), await startWireServer({ pages })];
    const [first = 0, second] = nodes.map(({ httpUrl }) => Number(new URL(httpUrl).port));
    proxy = await ProxyProcess.start(name, { nodes: [first, second] });
    const reply = await post(`https://${proxy.authority}/orders`, { body: '{}', tls: proxy.tls });
    expect([502, 503]).toContain(reply.status);
    expect(runs).toBe(1);
  });
});

describe.each(['nginx', 'haproxy'] as const)('a session over HTTP through the documented %s', (name) => {
  it.each(['sse', 'poll'])('is opened (%s) at the other node while one drains (G18)', async (path) => {
    const pages = (_: unknown, res: { end(): void }) => res.end();
    nodes = [await startWireServer({ pages }), await startWireServer({ pages })];
    const [first = 0, second] = nodes.map(({ httpUrl }) => Number(new URL(httpUrl).port));
    proxy = await ProxyProcess.start(name, { nodes: [first, second] });
    nodes[0]?.engine.beginDrain();
    const body = JSON.stringify([{ type: 'hello', id: '1', payload: { versions: [1], token: 'ada' } }]);
    // Both nodes have their turn.
    for (let n = 1; n <= 4; n++) {
      const opening = beginPost(`https://${proxy.authority}/realtime/${path}`, { body, tls: proxy.tls });
      expect((await opening.response).statusCode).toBe(200);
      opening.cancel();
    }
  });
});
