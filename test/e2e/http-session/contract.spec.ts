import type { MemoryBroker } from '../../../lib/brokers/memory/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { describeSessionContract } from '../../support/transport/session-contract.js';
import { siteOf, type MakeSite } from '../../support/transport/session-site.js';
import { SESSION_TRANSPORTS } from '../../support/transport/session-transports.js';
import { startWireServer } from '../../support/wire/server.js';

for (const transport of SESSION_TRANSPORTS) describeSessionContract('without a proxy', transport);

/** A server that ends TLS itself, whose sockets keep a copy of what they are given. */
const secure: MakeSite = async (options) => {
  const certificate = makeCertificate('localhost');
  const server = await startWireServer({ ...options, tls: certificate });
  const tls = { ca: certificate.cert, servername: 'localhost' };
  return await siteOf([server], {
    makeFront: async (port) => ({ url: `https://127.0.0.1:${port}`, tls, close: async () => undefined }),
    forget: async (channel) => (server.broker as MemoryBroker).clear(channel),
  });
};

for (const transport of SESSION_TRANSPORTS) describeSessionContract('over TLS', transport, secure);
