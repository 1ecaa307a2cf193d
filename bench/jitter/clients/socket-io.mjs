import { io } from 'socket.io-client';

/** A publish without retries is given up after this long; the docs of Socket.IO have the same where they retry. */
const ACK_MS = 10_000;

/**
 * A client of Socket.IO, with its defaults, over WebSocket.
 *
 * @param retries Whether `emit` is repeated until it is acknowledged, at most three times, as its docs have it.
 */
export const socketIoClient =
  ({ retries }) =>
  async ({ port, room, received, onAttempt }) => {
    const socket = io(`http://127.0.0.1:${port}`, {
      transports: ['websocket'],
      forceNew: true,
      auth: { room },
      ...(retries && { retries: 3, ackTimeout: ACK_MS }),
    });
    socket.io.on('reconnect_attempt', onAttempt);
    socket.on('tick', (payload) => received.tick(payload));
    socket.on('said', (payload) => received.said(payload));
    if (!socket.connected) await new Promise((resolve) => socket.once('connect', resolve));
    return {
      publish: (payload) =>
        retries ? socket.emitWithAck('say', payload) : socket.timeout(ACK_MS).emitWithAck('say', payload),
      close: () => socket.disconnect(),
    };
  };
