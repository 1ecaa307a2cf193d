import { WebSocket } from 'ws';
import { httpFallback } from '../../../dist/client/http.js';
import { RealtimeClient } from '../../../dist/client/index.js';
import { FEEDS } from '../names.mjs';

/** A client of the library, with its defaults, on one transport. */
export const libraryClient =
  (transport) =>
  async ({ port, token, room, received, onAttempt }) => {
    const client = new RealtimeClient(`ws://127.0.0.1:${port}/realtime`, {
      token: () => token,
      webSocket: WebSocket,
      ...(transport === 'websocket' ? {} : { fallback: httpFallback({ transports: [transport] }) }),
    });
    client.on('state', ({ state }) => {
      if (state === 'connecting') onAttempt();
    });
    client.on('error', (error) => received.trouble(error));
    const rooms = [];
    for (const name of [...FEEDS, room]) {
      const channel = client.channel(name);
      channel.on('gap', () => received.gap());
      if (name === room) channel.on('said', (payload) => received.said(payload));
      else channel.on('tick', (payload) => received.tick(payload));
      rooms.push(channel);
    }
    await Promise.all(rooms.map((channel) => channel.subscribe()));
    return {
      publish: (payload) => rooms.at(-1).publish('said', payload),
      close: () => client.close(),
    };
  };
