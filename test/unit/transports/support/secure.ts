import type { Server } from 'node:http';
import { createServer } from 'node:https';
import type { ConnectionOptions } from 'node:tls';

// TLS by a shared key: a certificate of a test expires, or has to be made.
const psk = Buffer.alloc(16, 7);
const ciphers = 'PSK-AES128-GCM-SHA256';

/** What a client of a {@link secureServer} needs. */
export const secureClient: ConnectionOptions = {
  ciphers,
  maxVersion: 'TLSv1.2',
  pskCallback: () => ({ psk, identity: 'test' }),
  checkServerIdentity: () => undefined,
};

/** A server with TLS that does not listen yet. */
export function secureServer(): Server {
  return createServer({ ciphers, maxVersion: 'TLSv1.2', pskCallback: () => psk });
}
