import { once } from 'node:events';
import { io } from 'socket.io-client';

/** As in the tutorial of Socket.IO on delivery: what is not acknowledged is sent again. */
const PUBLISHER = { ackTimeout: 10_000, retries: 3 };

/** Clients of Socket.IO, with its defaults. */
export class SocketIoClients {
  recoveries = {};
  gaps = 0;
  #url;

  constructor(port) {
    this.#url = `http://127.0.0.1:${port}`;
  }

  async open(room, witness, isPublisher) {
    const socket = io(this.#url, {
      forceNew: true,
      transports: ['websocket'],
      auth: { room },
      ...(isPublisher && PUBLISHER),
    });
    const handle = {
      isLive: false,
      publish: (payload) => socket.emitWithAck('said', payload),
      close: () => socket.close(),
    };
    socket.on('connect', () => {
      handle.isLive = true;
      const recovery = socket.recovered ? 'complete' : 'new';
      this.recoveries[recovery] = (this.recoveries[recovery] ?? 0) + 1;
    });
    socket.on('disconnect', () => {
      handle.isLive = false;
      witness.moved = true;
    });
    for (const kind of ['tick', 'said']) socket.on(kind, (payload) => witness.note(kind, payload));
    await once(socket, 'connect');
    return handle;
  }
}
