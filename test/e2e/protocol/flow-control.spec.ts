import { afterEach, describe, expect, it } from '@jest/globals';
import type { Position } from '../../../lib/protocol/position.js';
import { stretched } from '../../support/patience.js';
import { usedMemory } from '../../support/real-process.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { WirePeer } from '../../support/wire/peer.js';
import type { WireServer } from '../../support/wire/server.js';
import { sessionOf } from '../../support/wire/session.js';

const OUTBOX = { maxBytes: 512 * 1024, maxMessages: 1_000 };
const EVENT_BYTES = 64 * 1024;
const MB = 1024 * 1024;

let cluster: WireCluster;
let server: WireServer;
afterEach(() => cluster.close());

async function start(size: number): Promise<void> {
  cluster = await startWireCluster(1, {
    channels: [
      wireChannel('rooms.:room', {
        log: { size, maxBytes: 64 * MB },
        policy: { overflow: 'drop-oldest', replayLimit: 1_000_000 },
      }),
    ],
    settings: {
      outbox: OUTBOX,
      ringSize: 16,
      limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0 },
    },
  });
  [server] = cluster.nodes as [WireServer];
}

async function join(name: string, channel: string): Promise<WirePeer> {
  const peer = new WirePeer(name);
  await peer.connect(server);
  await peer.follow(channel);
  return peer;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('isolation from slow clients (G14)', () => {
  it('clients get every event at once while others do not read, and memory stays constant (G14, G13)', async () => {
    await start(10);
    const quick = [await join('q1', 'rooms.1'), await join('q2', 'rooms.1')];
    const slow = await Promise.all(['s1', 's2', 's3', 's4', 's5'].map((name) => join(name, 'rooms.1')));
    for (const peer of slow) peer.client?.stopReading();
    const payload = 'x'.repeat(EVENT_BYTES);

    const round = async (): Promise<void> => {
      for (let index = 0; index < 100; index++) {
        const { seq } = await server.engine.application.publish('rooms.1', 'said', payload);
        // Each event reaches the readers before the next is published: nobody waits for the slow ones.
        await until('the readers', () =>
          quick.every((peer) => peer.channel('rooms.1').position?.seq === seq),
        );
      }
      for (const peer of quick) peer.channel('rooms.1').delivered.length = 0;
    };
    // The first round fills the kernel's buffers and the queues.
    await round();
    const before = usedMemory();
    for (let index = 0; index < 3; index++) await round();
    // 20 MB went by five clients that read nothing of it.
    expect(usedMemory() - before).toBeLessThan(4 * MB);
    for (const { name } of slow) {
      expect(sessionOf(server, name).outbox.bufferedBytes).toBeLessThanOrEqual(
        OUTBOX.maxBytes + 2 * EVENT_BYTES,
      );
    }
    const began = performance.now();
    for (let index = 0; index < 50; index++) await quick[0]?.settle();
    expect((performance.now() - began) / 50).toBeLessThan(stretched(100));

    for (const peer of slow) peer.client?.goOnReading();
    const { seq } = await server.engine.application.publish('rooms.1', 'said', 'last');
    await until('the slow ones', () => slow.every((peer) => peer.channel('rooms.1').covered === seq));
    for (const peer of [...quick, ...slow]) peer.check();
    for (const peer of quick) expect(peer.channel('rooms.1').missing).toEqual([]);
    for (const peer of slow) expect(peer.channel('rooms.1').missing.length).toBeGreaterThan(0);
    await Promise.all([...quick, ...slow].map((peer) => peer.cut()));
  });
});

describe('bounded replay (G8)', () => {
  it('a replay of 25 MB to a client that does not read keeps the queue bounded, causes no overflow and loses nothing (G8, P12b)', async () => {
    await start(1_000);
    const watcher = await server.connect('eve');
    const { position } = (await watcher.subscribe('rooms.1')) as { position: Position };
    watcher.terminate();
    const payload = 'x'.repeat(EVENT_BYTES);
    for (let index = 0; index < 400; index++)
      await server.engine.application.publish('rooms.1', 'said', payload);

    const peer = new WirePeer('ada');
    peer.channel('rooms.1').position = position;
    await peer.connect(server);
    peer.client?.stopReading();
    void peer.follow('rooms.1');
    const { outbox } = sessionOf(server, 'ada');
    await until('the socket to be full', () => outbox.isBlocked);
    let most = 0;
    // Live events come all the while; they wait in the log, not in the session (P12a).
    for (let index = 0; index < 50; index++) {
      await server.engine.application.publish('rooms.1', 'said', payload);
      await turn();
      most = Math.max(most, outbox.bufferedBytes);
    }
    expect(most).toBeLessThanOrEqual(OUTBOX.maxBytes);
    // Reading in small sips: the replay is pulled as the socket drains.
    for (let sip = 0; sip < 40; sip++) {
      peer.client?.goOnReading();
      await turn();
      peer.client?.stopReading();
      await turn();
      most = Math.max(most, outbox.bufferedBytes);
    }
    peer.client?.goOnReading();
    await until(
      'the end of the replay',
      () => peer.failure !== undefined || peer.channel('rooms.1').position?.seq === 450,
    );
    expect(most).toBeLessThanOrEqual(OUTBOX.maxBytes);
    peer.check();
    const follower = peer.channel('rooms.1');
    expect(follower.missing).toEqual([]);
    expect(follower.delivered.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 450 }, (_, index) => index + 1),
    );
    await peer.cut();
  });

  it('events trimmed during a replay are announced as a gap in their place (P12b)', async () => {
    await start(300);
    const { position } = await server.engine.application.history('rooms.1');
    const payload = 'x'.repeat(EVENT_BYTES);
    for (let index = 0; index < 300; index++)
      await server.engine.application.publish('rooms.1', 'said', payload);
    const peer = new WirePeer('ada');
    peer.channel('rooms.1').position = position;
    await peer.connect(server);
    peer.client?.stopReading();
    void peer.follow('rooms.1');
    const { outbox } = sessionOf(server, 'ada');
    await until('the socket to be full', () => outbox.isBlocked);
    for (let index = 0; index < 350; index++)
      await server.engine.application.publish('rooms.1', 'said', index);
    peer.client?.goOnReading();
    await until('the end', () => peer.failure !== undefined || peer.channel('rooms.1').position?.seq === 650);
    peer.check();
    expect(peer.channel('rooms.1').missing.map(({ why }) => why)).toContain('expired');
    await peer.cut();
  });
});
