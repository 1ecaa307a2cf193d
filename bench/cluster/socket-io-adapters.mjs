import { createAdapter as createPubSubAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';

/** Packets that the stream keeps. With the default, 10,000, nodes that fall behind under load would lose packets. */
const KEPT = 1_000_000;

/**
 * An adapter of Socket.IO for several nodes. `streams` keeps packets in one stream, from which all nodes read; `pubsub`
 * keeps nothing.
 *
 * @returns {{ adapter: unknown, sent: () => Promise<unknown> | undefined, disconnect: () => void }} `sent`: what Redis answers to the last packet,
 * where the adapter itself does not wait for it.
 */
export function redisAdapter(kind, url) {
  const client = new Redis(url);
  if (kind === 'streams') {
    const adapter = createStreamsAdapter(client, { maxLen: KEPT });
    return { adapter, sent: () => undefined, disconnect: () => client.disconnect() };
  }
  let last;
  const publish = client.publish.bind(client);
  client.publish = (...packet) => (last = publish(...packet));
  const subscriber = client.duplicate();
  const disconnect = () => [client, subscriber].forEach((one) => one.disconnect());
  return { adapter: createPubSubAdapter(client, subscriber), sent: () => last, disconnect };
}

/**
 * What `emit` to a room asks of the adapter of a namespace, waited for until Redis has it, which `emit` does not say.
 *
 * @param sent Of `redisAdapter`.
 */
export async function broadcast(adapter, sent, room, data) {
  const options = { rooms: new Set([room]), except: new Set(), flags: {} };
  const done = adapter.broadcast({ type: 2, data: ['tick', data] }, options);
  await sent();
  await done;
}
