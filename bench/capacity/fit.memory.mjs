import { openSubscribers } from '../support/subscribers.mjs';
import { startApplication } from './clients.mjs';
import { joinOf } from './transports.mjs';

const CLIENTS = 50;
/** Channels that each client subscribes to: the same for all, or each its own. */
const SHARED = 100;
const LOGS = 50;
const EVENTS = 1_000;

/** What subscriptions, channels and their logs keep, from the heap and the buffers of a server: the same on each transport. */
export async function fitMemory() {
  const server = await startApplication();
  const used = async () => (await server.ask({ type: 'used' })).bytes;
  // What one of each leaves behind is not counted as the others'.
  const names = (prefix, count) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const opened = [];
  const open = async (channelsOf) => {
    const load = await openSubscribers(
      server.port,
      (index) => joinOf('websocket', 'user', channelsOf(index)),
      CLIENTS,
    );
    opened.push(...load.clients);
  };
  await open((index) => [`first-${index}`]);
  const before = await used();
  await open(() => ['one']);
  const connected = await used();
  await open(() => names('shared', SHARED));
  const shared = await used();
  await open((index) => names(`own-${index}`, SHARED));
  const own = await used();
  await server.ask({ type: 'fill', channels: 1, perChannel: EVENTS });
  const unfilled = await used();
  await server.ask({ type: 'fill', channels: LOGS, perChannel: EVENTS });
  const filled = await used();
  for (const client of opened) client.close();
  server.stop();

  const connection = (connected - before) / CLIENTS;
  const subscriptions = CLIENTS * SHARED;
  // x channels and y subscriptions twice, with another x.
  const inShared = shared - connected - CLIENTS * connection;
  const inOwn = own - shared - CLIENTS * connection;
  const channel = Math.max(0, (inOwn - inShared) / (subscriptions - SHARED));
  return {
    bytes: {
      channel,
      subscription: Math.max(0, (inShared - SHARED * channel) / subscriptions),
      keptEvent: (filled - unfilled) / ((LOGS - 1) * EVENTS),
    },
  };
}
