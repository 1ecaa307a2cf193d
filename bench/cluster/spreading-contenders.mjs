import { randomUUID } from 'node:crypto';
import { Centrifuge } from 'centrifuge';
import { Server } from 'socket.io';
import { WebSocket } from 'ws';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { CENTRIFUGO_REMEDY, findCentrifugo, startCentrifugo } from '../support/centrifugo.mjs';
import { silentListener } from '../support/silent-listener.mjs';
import { broadcast, redisAdapter } from './socket-io-adapters.mjs';

/** Nodes that subscribe to all channels. */
const NODES = 2;
/** Nodes of programs of their own leave Redis its core. */
const NODES_CORE = 1;
/** Defaults of a channel. */
const POLICY = { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 };

/**
 * Those that publish to channels of several nodes over a Redis. `open` makes the nodes, subscribes them to the channels of these numbers,
 * and has `publish`, which takes numbers of channels, publishes an event to each at once, and ends when all are acknowledged.
 */
export function spreadingContenders() {
  const program = findCentrifugo();
  if (program === undefined) console.log(CENTRIFUGO_REMEDY);
  return [
    { name: 'nestjs-realtime', open: openLibrary },
    ...(program === undefined ? [] : [{ name: 'Centrifugo', open: (more) => openCentrifugo(program, more) }]),
    { name: 'Socket.IO, streams adapter', open: (more) => openSocketIo('streams', more), hasIds: false },
    { name: 'Socket.IO, Redis adapter', open: (more) => openSocketIo('pubsub', more), hasIds: false },
  ];
}

async function openLibrary({ url, payload, channels }) {
  const [publisher, ...nodes] = Array.from({ length: NODES + 1 }, () => redisBroker({ url }));
  for (const broker of [publisher, ...nodes]) await broker.start(silentListener);
  for (const { log } of nodes)
    await Promise.all(channels.map((channel) => log.subscribe(`bench.${channel}`)));
  return {
    async publish(numbers, hasIds) {
      const requests = numbers.map((channel) => ({
        channel: `bench.${channel}`,
        producer: 'a:bench',
        fingerprint: 'nOsjIzwLmXXLQZb9f3F9h98AzOI=',
        policy: { ...POLICY, dedupeMs: hasIds ? POLICY.dedupeMs : 0 },
        event: { id: randomUUID(), event: 'tick', payload },
        bytes: payload.length + 80,
      }));
      const failed = (await publisher.log.appendMany(requests)).find(({ ok }) => !ok);
      if (failed !== undefined) throw new Error(`A publish failed: ${failed.code}`);
    },
    close: () => Promise.all([publisher, ...nodes].map((broker) => broker.close())),
  };
}

/** Publishes through the API of a third node, in one batch a call, whose commands are carried out at the same time. */
async function openCentrifugo(program, { url, payload, channels }) {
  const nodes = [];
  for (let index = 0; index <= NODES; index++)
    nodes.push(await startCentrifugo({ program, redisUrl: url, core: NODES_CORE }));
  const [publisher, ...others] = nodes;
  const clients = others.map((node) => new Centrifuge(node.url, { websocket: WebSocket }));
  for (const client of clients) {
    client.connect();
    const all = channels.map((channel) => client.newSubscription(`bench:${channel}`));
    for (const subscription of all) subscription.subscribe();
    await Promise.all(all.map((subscription) => subscription.ready(30_000)));
  }
  return {
    async publish(numbers, hasIds) {
      const commands = numbers.map((channel) => ({
        publish: {
          channel: `bench:${channel}`,
          data: { event: 'tick', payload },
          ...(hasIds ? { idempotency_key: randomUUID() } : {}),
        },
      }));
      const answer = await fetch(`${publisher.httpUrl}/api/batch`, {
        method: 'POST',
        body: JSON.stringify({ commands, parallel: true }),
      });
      const { replies } = await answer.json();
      const failed = replies?.find(({ error }) => error !== undefined);
      if (replies?.length !== numbers.length || failed !== undefined)
        throw new Error(`A publish failed: ${answer.status} ${JSON.stringify(failed ?? '')}`);
    },
    async close() {
      for (const client of clients) client.disconnect();
      for (const node of nodes) await node.stop();
    },
  };
}

async function openSocketIo(kind, { url, payload, channels }) {
  const nodes = Array.from({ length: NODES + 1 }, () => {
    const { adapter, sent, disconnect } = redisAdapter(kind, url);
    const server = new Server({ adapter });
    return { sent, disconnect, adapter: server.of('/').adapter };
  });
  const [publisher, ...others] = nodes;
  // A node without a member of a room is told nothing.
  for (const { adapter } of others)
    for (const channel of channels) adapter.addAll(`member.${channel}`, new Set([`bench.${channel}`]));
  return {
    publish: (numbers) =>
      Promise.all(
        numbers.map((channel) => broadcast(publisher.adapter, publisher.sent, `bench.${channel}`, payload)),
      ),
    async close() {
      await Promise.all(nodes.map(({ adapter }) => adapter.close()));
      for (const { disconnect } of nodes) disconnect();
    },
  };
}
