import { encode } from '@msgpack/msgpack';
import { RawClient } from './raw-client.mjs';

/** How many connections are opened at once. */
const AT_ONCE = 50;

/**
 * How a client of each kind of server becomes a subscriber: what its handshake asks for, what it says when it hears
 * something, and from which text on it is subscribed. Without `until` it is as soon as it is connected.
 */
export const joins = {
  /** Servers that subscribe whoever connects. */
  plain: {},
  socketIo: {
    path: '/socket.io/?EIO=4&transport=websocket',
    greet: ['40'],
    until: '40{"sid"',
  },
  library: (channels = ['bench.fanout']) => ({
    path: '/realtime',
    greet: [
      JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } }),
      ...channels.map((channel, index) => JSON.stringify({ type: 'subscribe', id: `sub-${index}`, channel })),
    ],
    until: `sub-${channels.length - 1}`,
  }),
  libraryMsgpack: (channel = 'bench.fanout') => ({
    path: '/realtime',
    protocols: ['realtime.v1.msgpack'],
    greet: [
      encode({ type: 'hello', id: 'h', payload: { versions: [1] } }),
      encode({ type: 'subscribe', id: 'sub-0', channel, payload: {} }),
    ],
    until: 'sub-0',
  }),
};

/** Opens one subscriber and resolves when it is subscribed. */
export async function openSubscriber(port, join, { buffer, onBytes, ...handshake }) {
  let heard = '';
  let joined = () => undefined;
  let waiting = join.until !== undefined;
  const client = await RawClient.open(port, {
    ...handshake,
    path: join.path,
    protocols: join.protocols,
    extensions: join.extensions,
    buffer,
    onBytes(length, chunk, self) {
      if (waiting) {
        heard += Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
        if (heard.includes(join.until)) {
          waiting = false;
          heard = '';
          joined();
        }
      }
      onBytes(length, chunk, self);
    },
  });
  for (const message of join.greet ?? []) client.send(message);
  if (waiting) await new Promise((resolve) => (joined = resolve));
  return client;
}

/**
 * Opens `count` subscribers that only count what they receive.
 *
 * @returns {Promise<{ clients: RawClient[], received: number, reached: (bytes: number) => Promise<void> }>} `reached`
 * resolves when that many bytes have come in all.
 */
export async function openSubscribers(port, join, count) {
  const load = { clients: [], received: 0, reached };
  let wanted = Infinity;
  let settle = () => undefined;
  const buffer = Buffer.alloc(1024 * 1024);
  const onBytes = (length) => {
    load.received += length;
    if (load.received >= wanted) settle();
  };
  function reached(bytes) {
    if (load.received >= bytes) return Promise.resolve();
    wanted = bytes;
    return new Promise((resolve) => {
      settle = () => {
        wanted = Infinity;
        resolve();
      };
    });
  }
  while (load.clients.length < count) {
    const some = Math.min(AT_ONCE, count - load.clients.length);
    const opening = Array.from({ length: some }, () => openSubscriber(port, join, { buffer, onBytes }));
    load.clients.push(...(await Promise.all(opening)));
  }
  await quiet(load);
  return load;
}

/** Resolves when nothing has come for a while: what greets a client is over. */
async function quiet(load) {
  for (let before = -1; before !== load.received;) {
    before = load.received;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
