import { ProxyProcess } from '../support/proxies/process.js';
import { describeSessionContract } from '../support/transport/session-contract.js';
import { oneNode } from '../support/transport/session-site.js';
import { LONG_POLL, SSE, WEBSOCKET } from '../support/transport/session-transports.js';
import { PROXIES } from './support/behind.js';

for (const name of PROXIES) {
  const behind = oneNode(async (port) => {
    const proxy = await ProxyProcess.start(name, { nodes: [port] });
    return { url: `https://${proxy.authority}`, tls: proxy.tls, close: () => proxy.close() };
  });
  for (const transport of [WEBSOCKET, SSE, LONG_POLL])
    describeSessionContract(`through the documented ${name}`, transport, behind);
}

/** Upgrades do not pass it, it speaks HTTP/1.0 to the node, and it buffers. */
const bare = (text: string): string =>
  text
    .replace(/location \/ \{.*?\n {2}\}/s, 'location / { proxy_pass http://realtime_nodes; }')
    .replace(/ {2}keepalive \d+;\n/, '');

const behindBareNginx = oneNode(async (port) => {
  const proxy = await ProxyProcess.start('nginx', { nodes: [port], alter: bare });
  return { url: `https://${proxy.authority}`, tls: proxy.tls, close: () => proxy.close() };
});
for (const transport of [SSE, LONG_POLL])
  describeSessionContract('through nginx with nothing but proxy_pass', transport, behindBareNginx, [
    transport,
  ]);
