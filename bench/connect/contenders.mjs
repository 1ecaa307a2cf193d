import { fileURLToPath } from 'node:url';
import { CHANNEL } from './check.mjs';

const script = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const protocols = (token) => ['realtime.v1.json', `bearer.${token}`];

export const WS = 'ws';
export const PLATFORM_WS = '@nestjs/platform-ws';
export const SOCKET_IO = 'Socket.IO';
export const LIBRARY = 'nestjs-realtime';

const hello = JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } });
const subscribe = JSON.stringify({ type: 'subscribe', id: 'sub-0', channel: CHANNEL });

/** How a client of each comes in with its token, as the client library of each does it. */
export const contenders = [
  {
    name: WS,
    script: script('ws'),
    join: (token) => ({
      protocols: protocols(token),
      steps: [{ say: [subscribe], hear: 'sub-0' }],
    }),
  },
  {
    name: PLATFORM_WS,
    script: script('platform-ws'),
    join: (token) => ({
      protocols: protocols(token),
      steps: [
        {
          say: [JSON.stringify({ event: 'subscribe', data: { id: 'sub-0', channel: CHANNEL } })],
          hear: 'sub-0',
        },
      ],
    }),
  },
  {
    name: SOCKET_IO,
    script: script('socket-io'),
    join: (token) => ({
      path: '/socket.io/?EIO=4&transport=websocket',
      steps: [{ say: [`40${JSON.stringify({ token })}`], hear: '40{"sid"' }],
    }),
  },
  {
    name: LIBRARY,
    script: script('library'),
    join: (token) => ({
      path: '/realtime',
      protocols: protocols(token),
      steps: [{ say: [`${hello}\n${subscribe}`], hear: 'sub-0' }],
    }),
  },
];

/** Another client than the library's, which waits for `welcome` before it subscribes. */
export const patient = {
  ...contenders.find(({ name }) => name === LIBRARY),
  name: 'nestjs-realtime, subscribe after welcome',
  join: (token) => ({
    path: '/realtime',
    protocols: protocols(token),
    steps: [
      { say: [hello], hear: '"welcome"' },
      { say: [subscribe], hear: 'sub-0' },
    ],
  }),
};
