import { encode } from '@msgpack/msgpack';
import { RawClient } from './raw-client.mjs';

/** How many connections are opened at once. */
const AT_ONCE = 50;
/** Longest text that a step waits for. */
const LONGEST_HEAR = 64;
/** Longer than a question whether a client lives. */
const LONGEST_PING = 160;

/**
 * How a client of each kind of server becomes a subscriber: what its handshake asks for, and step by step what it says
 * and what it then must hear. Without steps it is one as soon as it is connected.
 */
export const joins = {
  /** Servers that subscribe whoever connects. */
  plain: { steps: [] },
  socketIo: {
    path: '/socket.io/?EIO=4&transport=websocket',
    answer: (text) => (text === '\x81\x012' ? '3' : undefined),
    steps: [{ say: ['40'], hear: '40{"sid"' }],
  },
  library: (channels = ['bench.fanout']) => ({
    path: '/realtime',
    answer(text) {
      const id = /"type":"ping","id":"([^"]+)"/.exec(text)?.[1];
      return id === undefined ? undefined : JSON.stringify({ type: 'pong', ref: id });
    },
    steps: [
      {
        say: [
          JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } }),
          ...channels.map((channel, index) =>
            JSON.stringify({ type: 'subscribe', id: `sub-${index}`, channel }),
          ),
        ],
        hear: `sub-${channels.length - 1}`,
      },
    ],
  }),
  /** An event stream. */
  stream: (path) => ({ path, isStream: true, steps: [] }),
  libraryMsgpack: (channel = 'bench.fanout') => ({
    path: '/realtime',
    protocols: ['realtime.v1.msgpack'],
    steps: [
      {
        say: [
          encode({ type: 'hello', id: 'h', payload: { versions: [1] } }),
          encode({ type: 'subscribe', id: 'sub-0', channel, payload: {} }),
        ],
        hear: 'sub-0',
      },
    ],
  }),
};

/**
 * Opens one subscriber and resolves when it is subscribed.
 *
 * @param options `buffer` and `onBytes` as of {@link RawClient.open}; `onBytes` is told of the greeting too.
 */
export async function openSubscriber(port, join, { buffer, onBytes }) {
  if (join.open !== undefined) return join.open(port, { buffer, onBytes });
  const { steps, answer, ...handshake } = join;
  let heard = '';
  let check;
  const client = await RawClient.open(port, {
    ...handshake,
    buffer,
    onBytes(length, chunk, self) {
      if (answer !== undefined && length < LONGEST_PING) {
        const said = answer(Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1'));
        if (said !== undefined) self.send(said);
      }
      if (check !== undefined) {
        heard += Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
        check();
        // A replay is long: what was searched is not searched again, but for what a read may have cut.
        heard = heard.slice(-LONGEST_HEAR);
      }
      onBytes(length, chunk, self);
    },
  });
  for (const { say, hear } of steps) {
    const answered = new Promise((resolve) => {
      check = () => heard.includes(hear) && resolve();
    });
    for (const message of say) client.send(message);
    await answered;
  }
  check = undefined;
  heard = '';
  return client;
}

/**
 * Opens `count` subscribers that only count what they receive.
 *
 * @param join How all of them, or a function that says how each of them, becomes one.
 * @param {(index: number) => ((length: number, chunk: Uint8Array) => void) | undefined} [watch] For those that look at
 * it too.
 * @param {{ untilQuiet?: boolean }} [options] Whether it waits until nothing more comes. Default true.
 * @returns {Promise<{ clients: RawClient[], received: number, reached: (bytes: number) => Promise<void> }>} `reached`
 * resolves when that many bytes have come in all.
 */
export async function openSubscribers(
  port,
  join,
  count,
  watch = () => undefined,
  { untilQuiet = true } = {},
) {
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
    const opening = Array.from({ length: some }, (_, index) => {
      const look = watch(load.clients.length + index);
      const own = typeof join === 'function' ? join(load.clients.length + index) : join;
      return openSubscriber(port, own, {
        buffer,
        onBytes:
          look === undefined
            ? onBytes
            : (length, chunk) => {
                onBytes(length);
                look(length, chunk);
              },
      });
    });
    load.clients.push(...(await Promise.all(opening)));
  }
  if (untilQuiet) await quiet(load);
  return load;
}

/** Resolves when nothing has come for a while: what greets a client, or waited for it, is over. */
export async function quiet(load) {
  for (let before = -1; before !== load.received;) {
    before = load.received;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
