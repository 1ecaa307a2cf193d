import { ProxyProcess } from '../support/proxies/process.js';
import { describeSseContract } from '../support/transport/sse-contract.js';
import { PROXIES } from './support/behind.js';

for (const name of PROXIES) {
  describeSseContract(`through the documented ${name}`, async (port) => {
    const proxy = await ProxyProcess.start(name, { nodes: [port] });
    return { url: `https://${proxy.authority}`, tls: proxy.tls, close: () => proxy.close() };
  });
}
