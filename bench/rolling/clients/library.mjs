import { WebSocket } from 'ws';
import { RealtimeClient } from '../../../dist/client/index.js';

/** Clients of the library, with its defaults. */
export class LibraryClients {
  recoveries = {};
  /** Announcements that events do not come. */
  gaps = 0;
  #url;

  constructor(port) {
    this.#url = `ws://127.0.0.1:${port}/realtime`;
  }

  async open(room, witness) {
    const client = new RealtimeClient(this.#url, { webSocket: WebSocket });
    const channel = client.channel(room);
    const handle = {
      isLive: false,
      publish: (payload) => channel.publish('said', payload),
      close: () => client.close(),
    };
    client.on('error', (error) => console.error('A client:', error));
    channel.on('state', (state) => {
      if (handle.isLive && state !== 'subscribed') witness.moved = true;
      handle.isLive = state === 'subscribed';
    });
    channel.on('subscribed', ({ recovery }) => {
      this.recoveries[recovery] = (this.recoveries[recovery] ?? 0) + 1;
    });
    channel.on('gap', () => this.gaps++);
    channel.on('reset', () => this.gaps++);
    for (const kind of ['tick', 'said']) channel.on(kind, (payload) => witness.note(kind, payload));
    await channel.subscribe();
    return handle;
  }
}
