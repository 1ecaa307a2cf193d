// Answers to polls that are kept beside the sessions, when events in them are erased: for a poll at another node, and of a session
// that has ended.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeRelay } from '../../../lib/transports/http-session/relay-codec.js';
import { settle } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { envelopesIn, HttpExchange, numberOf } from '../../support/wire/http-exchange.js';
import type { WireServer } from '../../support/wire/server.js';

const ROOM = 'rooms.1';
const SECRET = 'secret ';
/** More than comes to another node without having been offered. */
const LARGE = SECRET.repeat(4_000);

let cluster: WireCluster;
let home: WireServer;
let other: WireServer;
/** Sends what the other node had asked its peers for. */
let release: () => void;
let isHeld: boolean;

beforeEach(async () => {
  cluster = await startWireCluster(2, {
    channels: [
      wireChannel('rooms.:room', {
        behaviour: { snapshot: { shareable: false, run: async () => ({ state: SECRET }) } },
      }),
    ],
  });
  [home, other] = cluster.nodes as [WireServer, WireServer];
  const { bus } = other.broker;
  const send = bus.send?.bind(bus);
  const held: (() => void)[] = [];
  isHeld = true;
  release = () => {
    isHeld = false;
    for (const go of held.splice(0)) go();
  };
  bus.send = async (node, topic, bytes) => {
    if (isHeld && decodeRelay(bytes)?.type === 'take')
      await new Promise<void>((resolve) => held.push(resolve));
    await send?.(node, topic, bytes);
  };
});
afterEach(() => cluster.close());

async function open(payload: Readonly<Record<string, unknown>> = { snapshot: false }) {
  const exchange = await HttpExchange.open(
    { url: home.httpUrl, elsewhere: other.httpUrl },
    { token: 'ada' },
    [{ type: 'subscribe', id: 's', channel: ROOM, payload }],
  );
  let last = exchange.opening;
  const found = [...envelopesIn(last)];
  while (!found.some(({ ref }) => ref === 's')) {
    last = await exchange.poll(numberOf(last));
    found.push(...envelopesIn(last));
  }
  const { position } = found.find(({ ref }) => ref === 's')?.payload as {
    position: { epoch: string; seq: number };
  };
  return { exchange, ack: numberOf(last), position };
}

async function erase(seq: number): Promise<void> {
  const receipt = await home.engine.erase(ROOM, { seq });
  expect([[...receipt.confirmed].sort(), receipt.missing]).toEqual([['node-1', 'node-2'], []]);
}

describe('answers of polls in which events were erased (G29, P31d)', () => {
  it.each([
    ['the event', (seq: number) => seq, 410],
    ['another event', () => 1, 200],
  ])(
    'one that waits for a poll at another node is not carried there when %s was erased',
    async (_, which, status) => {
      const { exchange, ack, position } = await open();
      await home.engine.application.publish(ROOM, 'said', 'first');
      const first = await exchange.poll(ack);
      const polled = exchange.poll(numberOf(first), { elsewhere: true });
      await until('the poll to wait', () => other.unanswered === 1);
      for (let turn = 0; turn < 20; turn++) await settle();
      const { seq } = await home.engine.application.publish(ROOM, 'said', LARGE);
      for (let turn = 0; turn < 20; turn++) await settle();
      await erase(which(seq));
      release();
      let reply = await polled;
      if (status === 410) {
        expect([reply.status, reply.body.includes(SECRET)]).toEqual([503, false]);
        reply = await exchange.poll(numberOf(first), { elsewhere: true });
      }
      expect([reply.status, reply.body.includes(SECRET)]).toEqual([status, status === 200]);
      // Its client continues where it was, and has every place once.
      const client = await HttpExchange.open(
        { url: other.httpUrl },
        { token: 'ada', session: exchange.ticket },
        [{ type: 'subscribe', id: 's', channel: ROOM, payload: { position, snapshot: false } }],
      );
      const events = envelopesIn(client.opening);
      for (let last = client.opening; events.filter(({ type }) => type === 'event').length < 3;) {
        last = await client.poll(numberOf(last));
        events.push(...envelopesIn(last));
      }
      expect(events.filter(({ type }) => type === 'event').map(({ seq: place }) => place)).toEqual([1, 2, 3]);
      expect(JSON.stringify(events).includes(SECRET)).toBe(status === 200);
    },
  );

  it.each([
    ['the event', (seq: number) => seq, 410],
    ['another event', () => 1, 200],
  ])('the last one of a session that has ended is not given when %s was erased', async (_, which, status) => {
    const { exchange, ack } = await open();
    await home.engine.application.publish(ROOM, 'said', 'first');
    const first = await exchange.poll(ack);
    // The client is gone, which its next poll may change.
    const cut = exchange.beginPoll(numberOf(first));
    cut.response.catch(() => undefined);
    await until('the poll to wait', () => home.unanswered === 1);
    cut.request.destroy();
    await until('the poll to be over', () => home.unanswered === 0);
    const { seq } = await home.engine.application.publish(ROOM, 'said', SECRET);
    await settle();
    await home.engine.disconnect('ada');
    await erase(which(seq));
    const reply = await exchange.poll(numberOf(first));
    expect([reply.status, reply.body.includes(SECRET)]).toEqual([status, status === 200]);
    expect(reply.body + JSON.stringify(reply.headers)).toContain('4811');
  });

  it('one with a state that the application made before is not given again', async () => {
    const { exchange, ack } = await open({});
    expect(exchange.opening.body).toContain(SECRET);
    await home.engine.application.publish(ROOM, 'said', 'first');
    await erase(1);
    const again = await exchange.poll(ack - 1);
    expect([again.status, again.body.includes(SECRET)]).toEqual([410, false]);
  });
});
