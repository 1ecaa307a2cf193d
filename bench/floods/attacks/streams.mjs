// Plain event streams (P20).
import { connect } from 'node:net';
import { pause } from '../army.mjs';
import { sign } from '../tokens.mjs';

const FOREIGN = sign('mallory', 'another secret of at least 32 bytes');
/** How long one that was refused waits, in milliseconds. */
const PAUSE_MS = 20;

export const streamFloods = [
  {
    name: 'streams-cycled',
    title: 'plain streams that are opened and left, one user',
    attack: (army) => streams(army, 32, { user: 'mallory', act: (socket) => socket.destroy() }),
  },
  {
    name: 'streams-many',
    title: 'up to 3000 plain streams of nobody, whose client stays',
    crowded: true,
    attack: (army) => streams(army, 1_500, { address: (index) => army.address(1 + (index % 2)) }),
  },
  {
    name: 'streams-ten-thousand',
    title: '10000 plain streams of nobody, from 20 addresses',
    // Node's own HTTP server, which answers and does nothing else, has turns as long when so many come, and leave, at once.
    slowMs: 470,
    // So much an idle stream takes, all of Node's own objects included.
    heldMb: 192,
    peakMb: 320,
    attack: (army) => streams(army, 10_000, { address: (index) => army.address(1 + (index % 20)) }),
  },
  {
    name: 'streams-stuck',
    title: '200 plain streams of a busy channel that are not read',
    attack: async (army) => {
      const writer = await army.recruit({ user: 'writer' });
      const text = 'x'.repeat(30_000);
      if (writer !== undefined)
        army.every(writer, 100, () =>
          army.send(writer, { type: 'publish', channel: 'rooms.stuck', event: 'said', payload: text }),
        );
      await streams(army, 200, { user: 'mallory', channels: 'rooms.stuck', act: (socket) => socket.pause() });
    },
  },
  {
    name: 'streams-invalid',
    title: 'plain streams with a token of a foreign signature',
    answered: ['HTTP 401'],
    attack: (army) => streams(army, 32, { headers: [`Authorization: Bearer ${FOREIGN}`] }),
  },
  {
    name: 'streams-cross-site',
    title: 'images of other pages that ask for a plain stream',
    answered: ['HTTP 403'],
    attack: (army) => streams(army, 64, { headers: ['Sec-Fetch-Site: cross-site'] }),
  },
  {
    name: 'slow-heads',
    title: '1000 requests whose head comes byte by byte',
    attack: (army) =>
      Promise.all(
        Array.from({ length: 1_000 }, async (_, index) => {
          const socket = dial(army, army.address(1 + (index % 4)));
          socket.write('GET /realtime/sse?channels=rooms.slow HTTP/1.1\r\nHost: a\r\nX-Slow: ');
          while (!army.over && !socket.destroyed) {
            socket.write('x');
            await pause(500);
          }
          socket.destroy();
        }),
      ),
  },
];

/** Keeps so many streams open until the flood is over: one that ends is replaced. */
async function streams(army, size, { user, address = () => army.address(), channels, headers = [], act }) {
  const token = user === undefined ? [] : [`Authorization: Bearer ${army.token(`${army.name}-${user}`)}`];
  const path = `/realtime/sse?channels=${channels ?? 'rooms.a,rooms.b'}`;
  const head = [`GET ${path} HTTP/1.1`, 'Host: a', ...token, ...headers].join('\r\n');
  await Promise.all(
    Array.from({ length: size }, async (_, index) => {
      while (!army.over) await stream(army, address(index), `${head}\r\n\r\n`, act);
    }),
  );
}

/** One stream, until it or the flood ends. */
async function stream(army, address, head, act) {
  const socket = dial(army, address);
  const over = new Promise((resolve) => socket.once('close', resolve));
  socket.write(head);
  socket.once('data', (chunk) => {
    const status = `HTTP ${chunk.toString('latin1', 9, 12)}`;
    if (status === 'HTTP 200') act?.(socket);
    else army.counts.refused[status] = (army.counts.refused[status] ?? 0) + 1;
  });
  const ends = setInterval(() => army.over && socket.destroy(), 50);
  await over;
  clearInterval(ends);
  await pause(PAUSE_MS);
}

function dial(army, localAddress) {
  const socket = connect({ port: army.port, host: '127.0.0.1', localAddress });
  army.counts.opened++;
  socket.on('error', () => undefined);
  socket.resume();
  return socket;
}
