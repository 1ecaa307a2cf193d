import { afterEach, describe, expect, it } from '@jest/globals';
import { ProxyProcess } from '../support/proxies/process.js';
import { post } from '../support/wire/http-post.js';
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
