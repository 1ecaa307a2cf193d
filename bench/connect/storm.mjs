import { startMeasuring } from '../support/load.mjs';
import { openSubscriber } from '../support/subscribers.mjs';
import { sign } from './check.mjs';

/** Connections that are being opened at the same time. */
const AT_ONCE = 200;

/**
 * Connects one client per token, each checked and subscribed; as one is in, the next begins.
 *
 * @returns the clients, and what it cost the server.
 */
export async function storm({ server, join }, tokens) {
  const buffer = Buffer.alloc(64 * 1024);
  const options = { buffer, onBytes: () => undefined };
  const clients = [];
  let next = 0;
  const opener = async () => {
    while (next < tokens.length) {
      const token = tokens[next++];
      clients.push(await openSubscriber(server.port, join(token), options));
    }
  };
  // No collection before: it would also drop the shapes of objects that exist only while a connection is being opened, and
  // the code compiled for them. A storm meets a server that is warm.
  await server.ask({ type: 'begin', collect: false });
  const measured = startMeasuring();
  await Promise.all(Array.from({ length: AT_ONCE }, opener));
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  return {
    clients,
    cpuPerConnection: cpuMicros / tokens.length,
    rate: tokens.length / seconds,
    loadShare,
  };
}

/** Closes the clients and waits until the server has only `others` left. */
export async function disperse({ server }, clients, others = 0) {
  for (const client of clients) client.close();
  for (;;) {
    const { count } = await server.ask({ type: 'connections' });
    if (count === others) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function tokens(count) {
  return Array.from({ length: count }, (_, index) => sign(`user-${index}`));
}
