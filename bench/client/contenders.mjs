// Each client with as much of a server as it needs to be subscribed to one channel, and the frame of one event. All are bundled
// for a page. `start(FakeSocket, onEvent)` resolves when the client is subscribed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

import { answerAsLibrary } from './library-answers.mjs';

export const CHANNEL = 'rooms.42';
export const EVENT = 'message.created';
const ID = '0198c6a5-7c1e-7f3a-9a51-3f2f6f0f4d11';
const TS = 1_767_225_600_000;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A client, bundled for a page as its users bundle it, minified or not. */
export async function bundleOf(source, minify = false) {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    logLevel: 'silent',
    minify,
  });
  return outputFiles[0].contents;
}

/** What such a bundle exports. */
export async function load(source) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-client-'));
  const file = join(folder, 'client.mjs');
  try {
    writeFileSync(file, await bundleOf(source));
    return await import(pathToFileURL(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What an application imports of each client that has a size. */
export const SOURCES = {
  'nestjs-realtime-client': `export { RealtimeClient } from '${root}lib/client/index.ts';`,
  centrifuge: `export { Centrifuge } from 'centrifuge';`,
  'socket.io-client': `export { io, Manager } from 'socket.io-client';`,
  phoenix: `export { Socket } from 'phoenix';`,
  'graphql-ws': `export { createClient } from 'graphql-ws';`,
  'pusher-js': `export { default as Pusher } from 'pusher-js';`,
  ably: `export { Realtime } from 'ably';`,
  'ably/modular': `export { BaseRealtime, WebSocketTransport, FetchRequest } from 'ably/modular';`,
};

const json = (value) => JSON.stringify(value);
const lines = (frame) =>
  String(frame)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

export const CONTENDERS = [
  {
    name: 'nestjs-realtime-client',
    async start(Socket, onEvent) {
      const { RealtimeClient } = await load(SOURCES['nestjs-realtime-client']);
      answerAsLibrary(Socket);
      const client = new RealtimeClient('ws://bench.test/realtime', { webSocket: Socket, fetch: false });
      const room = client.channel(CHANNEL);
      room.on(EVENT, onEvent);
      await room.subscribe();
      return () => client.close();
    },
    frame: (payload, seq) =>
      json({
        type: 'event',
        channel: CHANNEL,
        event: EVENT,
        seq,
        epoch: 'k3f9Qx0aTz1b',
        id: ID,
        ts: TS,
        user: 'u7',
        payload,
      }),
  },
  {
    name: 'centrifuge',
    async start(Socket, onEvent) {
      const { Centrifuge } = await load(SOURCES.centrifuge);
      Socket.opened = () => undefined;
      Socket.answer = (frame, socket) => {
        for (const { id, connect, subscribe } of lines(frame)) {
          const answer = connect
            ? { connect: { client: ID, version: '6', ping: 0, pong: false } }
            : subscribe && { subscribe: { recoverable: true, positioned: true, epoch: 'k3f9', offset: 0 } };
          if (answer) setImmediate(() => socket.receive(json({ id, ...answer })));
        }
      };
      const client = new Centrifuge('ws://bench.test/connection/websocket', { websocket: Socket });
      const room = client.newSubscription(CHANNEL);
      room.on('publication', ({ data }) => onEvent(data));
      const subscribed = new Promise((resolve) => room.on('subscribed', resolve));
      room.subscribe();
      client.connect();
      await subscribed;
      return () => client.disconnect();
    },
    frame: (payload, offset) =>
      json({ push: { channel: CHANNEL, pub: { data: payload, offset, info: { user: 'u7', client: ID } } } }),
  },
  {
    name: 'socket.io-client',
    async start(Socket, onEvent) {
      const given = globalThis.WebSocket;
      globalThis.WebSocket = Socket;
      const { io } = await load(SOURCES['socket.io-client']);
      Socket.opened = (socket) =>
        socket.receive(
          `0${json({ sid: ID, upgrades: [], pingInterval: 3e8, pingTimeout: 3e8, maxPayload: 1e6 })}`,
        );
      Socket.answer = (frame, socket) => {
        if (String(frame).startsWith('40')) setImmediate(() => socket.receive(`40${json({ sid: ID })}`));
      };
      const client = io('ws://bench.test', { transports: ['websocket'], forceNew: true });
      client.on(EVENT, onEvent);
      await new Promise((resolve) => client.on('connect', resolve));
      globalThis.WebSocket = given;
      return () => client.close();
    },
    frame: (payload) => `42${json([EVENT, payload])}`,
  },
  {
    name: 'phoenix',
    async start(Socket, onEvent) {
      const { Socket: Phoenix } = await load(SOURCES.phoenix);
      Socket.opened = () => undefined;
      Socket.answer = (frame, socket) => {
        const [joinRef, ref, topic] = JSON.parse(frame);
        const reply = json([joinRef, ref, topic, 'phx_reply', { status: 'ok', response: {} }]);
        setImmediate(() => socket.receive(reply));
      };
      const client = new Phoenix('ws://bench.test/socket', { transport: Socket });
      client.connect();
      const room = client.channel(CHANNEL, {});
      room.on(EVENT, onEvent);
      await new Promise((resolve) => room.join().receive('ok', resolve));
      return () => client.disconnect();
    },
    frame: (payload) => json([null, null, CHANNEL, EVENT, payload]),
  },
];
