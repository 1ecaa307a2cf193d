// Connections, greetings and proofs of identity.
import { connect } from 'node:net';
import { pause } from '../army.mjs';
import { envelopes } from '../frames.mjs';
import { sign } from '../tokens.mjs';

const FOREIGN = sign('mallory', 'another secret of at least 32 bytes');
/** As long as a token may be, and signed by somebody else. */
const LONG = sign('m'.repeat(11_000), 'another secret of at least 32 bytes');
const leave = (socket) => socket.destroy();

export const connectFloods = [
  {
    name: 'connects',
    title: 'connect, hello and leave, one user',
    attack: (army) => army.keep(32, leave, () => ({ user: 'mallory' })),
  },
  {
    name: 'connects-users',
    title: 'the same, with ever new users',
    attack: (army) => army.keep(32, leave, () => ({ user: `mallory-${army.id()}` })),
  },
  {
    name: 'connects-anonymous',
    title: 'the same, of nobody',
    attack: (army) => army.keep(32, leave),
  },
  {
    name: 'connects-invalid',
    title: 'upgrades with a token of a foreign signature',
    answered: ['401'],
    attack: (army) =>
      army.keep(32, leave, () => ({ greet: false, protocols: ['realtime.v1.json', `bearer.${FOREIGN}`] })),
  },
  {
    name: 'hellos-invalid',
    title: 'hello with such a token, of 16 KB',
    answered: ['4801'],
    attack: (army) => {
      const hello = envelopes({ type: 'hello', id: 'h', payload: { versions: [1], token: LONG } });
      return army.keep(
        32,
        (socket) => army.write(socket, hello),
        () => ({ greet: false }),
      );
    },
  },
  {
    name: 'silent-connections',
    title: 'up to 3000 connections that say nothing, and come back when they are closed',
    crowded: true,
    attack: (army) =>
      army.keep(
        1_500,
        () => undefined,
        (index) => ({ greet: false, address: army.address(1 + (index % 2)) }),
      ),
  },
  {
    name: 'auth-storm',
    title: 'auth with a token of a foreign signature, 30 per frame',
    answered: ['unauthorized'],
    attack: (army) =>
      army.keep(
        8,
        (socket) =>
          army.every(socket, 20, () => {
            const list = Array.from({ length: 30 }, () => ({ type: 'auth', payload: { token: FOREIGN } }));
            army.send(socket, ...list);
          }),
        () => ({ user: 'mallory' }),
      ),
  },
  {
    name: 'slow-verifications',
    title: '500 greetings at once with bad tokens, each of which takes a second to verify',
    node: { verifyMs: 1_000 },
    attack: (army) => {
      const hello = envelopes({ type: 'hello', id: 'h', payload: { versions: [1], token: 'wrong' } });
      return army.keep(
        500,
        (socket) => army.write(socket, hello),
        () => ({ greet: false }),
      );
    },
  },
  {
    name: 'waiting-commands',
    title: '100 connections that send 255 commands of 60 KB behind a hello that takes a second to verify',
    node: { verifyMs: 1_000 },
    attack: (army) => {
      const text = 'x'.repeat(60_000);
      return army.keep(
        100,
        async (socket, index) => {
          army.send(socket, army.hello(`mallory-${index}`));
          for (let sent = 0; sent < 255 && !army.over && socket.alive; sent++) {
            army.send(socket, { type: 'publish', channel: 'rooms.wait', event: 'said', payload: text });
            await socket.drained();
          }
        },
        () => ({ greet: false }),
      );
    },
  },
  {
    name: 'probes',
    title: 'GET of the endpoint with such a token, pipelined',
    attack: (army) => requests(army, '/realtime', `Authorization: Bearer ${FOREIGN}`),
  },
  {
    name: 'http',
    title: 'GET of a page that nobody serves, pipelined: what the HTTP server alone is like',
    foreign: true,
    attack: (army) => requests(army, '/nothing', 'Accept: text/html'),
  },
];

/** Requests of eight sockets, fifty at a time. */
async function requests(army, path, header) {
  const one = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${army.port}\r\n${header}\r\n\r\n`;
  const pipeline = Buffer.from(one.repeat(50));
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!army.over) await pour(army, pipeline);
    }),
  );
}

/** Writes requests as fast as the server takes them, and reads what comes. */
async function pour(army, bytes) {
  const socket = connect({ port: army.port, host: '127.0.0.1', localAddress: army.address() });
  army.counts.opened++;
  let alive = true;
  let wake;
  socket.on(
    'data',
    (chunk) => (army.counts.replies += chunk.toString('latin1').split('HTTP/1.1 ').length - 1),
  );
  socket.on('error', () => undefined);
  socket.on('drain', () => wake?.());
  socket.on('close', () => {
    alive = false;
    wake?.();
  });
  while (alive && !army.over) {
    army.counts.writes++;
    army.counts.bytes += bytes.length;
    if (socket.write(bytes)) await pause(0);
    else await new Promise((resolve) => (wake = resolve));
  }
  socket.destroy();
}
