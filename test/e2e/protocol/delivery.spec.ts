import { afterEach, describe, expect, it } from '@jest/globals';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { readLog, startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { WirePeer } from '../../support/wire/peer.js';
import type { WireServer } from '../../support/wire/server.js';
import { NO_RATES } from '../../support/wire/no-rates.js';

const ROOM = 'rooms.1';

let cluster: WireCluster;
let left: WireServer;
let right: WireServer;
const peers: WirePeer[] = [];
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.cut()));
  await cluster.close();
});

async function start(): Promise<void> {
  cluster = await startWireCluster(2, {
    channels: [
      wireChannel('rooms.:room', { publish: ['said'], log: { size: 100_000 }, policy: { replayLimit: 1e6 } }),
    ],
    settings: { limits: NO_RATES },
  });
  [left, right] = cluster.nodes as [WireServer, WireServer];
}

async function peer(name: string, node: WireServer, codec = 'json'): Promise<WirePeer> {
  const made = new WirePeer(name, { protocols: [`realtime.v1.${codec}`] });
  peers.push(made);
  await made.connect(node);
  return made;
}

/** The log as one line an event; what every subscriber must have seen. */
async function log(): Promise<string[]> {
  return (await readLog(left, ROOM)).events.map(
    ({ seq, id, payload }) => `${seq} ${id} ${JSON.stringify(payload)}`,
  );
}
const seenBy = ({ channels }: WirePeer): string[] =>
  (channels.get(ROOM)?.delivered ?? []).map(
    ({ seq, id, payload }) => `${seq} ${id} ${JSON.stringify(payload)}`,
  );

/** Publishes a burst now and then, until told to stop. */
function flood(random: SeededEntropy): { stop(): Promise<number> } {
  let stopped = false;
  let count = 0;
  const run = async (): Promise<number> => {
    while (!stopped) {
      const burst = 1 + random.int(6);
      await Promise.all(
        Array.from({ length: burst }, () =>
          random.pick([left, right]).engine.application.publish(ROOM, 'said', ++count),
        ),
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  };
  const done = run();
  return {
    stop: () => {
      stopped = true;
      return done;
    },
  };
}

describe('one order (G2)', () => {
  it('subscribers on two nodes and codecs see the log seq by seq under concurrent publishers (G2)', async () => {
    await start();
    const readers = await Promise.all([
      peer('r1', left),
      peer('r2', right),
      peer('r3', left, 'msgpack'),
      peer('r4', right, 'msgpack'),
    ]);
    for (const reader of readers) await reader.follow(ROOM);
    const writers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => peer(`w${index}`, index % 2 === 0 ? left : right)),
    );
    const EACH = 60;
    await Promise.all(
      writers.map(async (writer, index) => {
        for (let n = 0; n < EACH; n++) {
          // Some wait for their answers, the others send as fast as they can.
          const answer = writer.call({
            type: 'publish',
            channel: ROOM,
            event: 'said',
            payload: `${index}.${n}`,
          });
          if (index % 3 === 0) await answer;
        }
        await writer.settle();
      }),
    );
    const total = writers.length * EACH;
    await until('all events', () => readers.every((reader) => seenBy(reader).length === total));
    // Somebody who comes later reads the same.
    const late = await peer('late', right);
    late.channel(ROOM).position = { epoch: (await readLog(left, ROOM)).position.epoch, seq: 0 };
    await late.follow(ROOM);
    await until('the replay', () => seenBy(late).length === total);
    const expected = await log();
    for (const reader of [...readers, late]) {
      reader.check();
      expect(seenBy(reader)).toEqual(expected);
    }
    // P16: each writer's own events are in its order.
    for (let index = 0; index < writers.length; index++) {
      const own = expected.filter((line) => line.includes(`"${index}.`)).map((line) => line.split('"')[1]);
      expect(own).toEqual(Array.from({ length: EACH }, (_, n) => `${index}.${n}`));
    }
  });
});

describe('no event lost or repeated (G3)', () => {
  it.each([1, 2, 3])(
    'a client that is cut 50 times at random points sees each event once and in order (seed %i) (G3, P14)',
    async (seed) => {
      await start();
      const random = new SeededEntropy(seed);
      const codec = random.pick(['json', 'msgpack']);
      const client = await peer('ada', left, codec);
      const follower = client.channel(ROOM);
      await client.follow(ROOM);
      const first = follower.position?.seq as number;
      const flow = flood(random);
      for (let cut = 0; cut < 50; cut++) {
        // After some events, or before the answer to hello or subscribe has come.
        const wanted = follower.delivered.length + random.int(12);
        if (random.int(4) > 0)
          await until(
            'some events',
            () => client.failure !== undefined || follower.delivered.length >= wanted,
          );
        await client.cut();
        await client.connect(random.pick([left, right]));
        const subscribing = client.follow(ROOM);
        if (random.int(3) > 0) await subscribing;
      }
      const total = await flow.stop();
      await until('the end', () => client.failure !== undefined || follower.position?.seq === total);
      client.check();
      expect(follower.missing).toEqual([]);
      expect(seenBy(client)).toEqual((await log()).slice(first));
      expect(total).toBeGreaterThan(100);
    },
  );

  it('a client sees each event once and in order although its node ends (G3, P13)', async () => {
    await start();
    const client = await peer('ada', left);
    await client.follow(ROOM);
    const random = new SeededEntropy(5);
    let count = 0;
    for (let round = 0; round < 5; round++) {
      const node = cluster.nodes.at(-1) as WireServer;
      for (let n = 0; n < 20; n++) await node.engine.application.publish(ROOM, 'said', ++count);
      const last = cluster.nodes.at(random.int(2) === 0 ? -1 : -2) as WireServer;
      const next = await cluster.start();
      await last.close();
      for (let n = 0; n < 20; n++) await next.engine.application.publish(ROOM, 'said', ++count);
      await client.connect(next);
      await client.follow(ROOM);
    }
    await until('the end', () => client.channel(ROOM).position?.seq === count);
    client.check();
    expect(client.channel(ROOM).missing).toEqual([]);
    expect(client.channel(ROOM).delivered.map(({ payload }) => payload)).toEqual(
      Array.from({ length: count }, (_, index) => index + 1),
    );
  });
});

describe('replay and live events in order (G7)', () => {
  it.each([1, 2, 3, 4])(
    'clients that join and return during a flood always see the next event (seed %i) (G7, G8, P12)',
    async (seed) => {
      await start();
      const random = new SeededEntropy(seed * 7919);
      const { epoch } = (await readLog(left, ROOM)).position;
      // A past to replay: within one page, and beyond the ring and several pages.
      const past = random.pick([5, 200, 700]);
      for (let n = 0; n < past; n++) await left.engine.application.publish(ROOM, 'said', `past ${n}`);
      const flow = flood(random);
      const joined: { client: WirePeer; from: number }[] = [];
      for (let index = 0; index < 24; index++) {
        const client = await peer(`p${index}`, random.pick([left, right]), random.pick(['json', 'msgpack']));
        const from = random.int(past + 1);
        client.channel(ROOM).position = { epoch, seq: from };
        joined.push({ client, from });
        const answer = client.follow(ROOM);
        if (random.int(2) === 0) {
          await answer;
          // Leaves in the middle of the replay or behind it, and takes the subscription up again on the same connection.
          for (let turn = random.int(4); turn > 0; turn--)
            await new Promise((resolve) => setImmediate(resolve));
          await client.leave(ROOM);
          await client.follow(ROOM);
        }
      }
      const total = past + (await flow.stop());
      await until('everybody at the tip', () =>
        joined.every(
          ({ client }) => client.failure !== undefined || client.channel(ROOM).position?.seq === total,
        ),
      );
      const lines = await log();
      for (const { client, from } of joined) {
        client.check();
        const follower = client.channel(ROOM);
        expect(follower.isReplaying).toBe(false);
        expect(follower.missing).toEqual([]);
        expect(seenBy(client)).toEqual(lines.slice(from));
      }
    },
  );
});
