import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { ChannelEvent, ChannelGap } from '../../../lib/client/channel/types.js';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { elapse } from '../../support/patience.js';
import { until } from '../../support/wire/scripted-server.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { wireChannel } from '../../support/wire/channel.js';
import { readLog, startWireCluster, type WireCluster } from '../../support/wire/cluster.js';

/** Sockets that a test can cut, as a network does: without a close frame. */
class CuttableSocket extends WebSocket {
  static readonly open = new Set<CuttableSocket>();

  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    CuttableSocket.open.add(this);
    this.on('close', () => CuttableSocket.open.delete(this));
  }
}

const CHANNEL = 'rooms.1';
const settings = {
  retry: { baseMs: 5, maxMs: 40, firstSpreadMs: 20, stableMs: 1_000 },
  limits: { ratePerSecond: 5_000, burst: 10_000, userRatePerSecond: 50_000 },
};

let cluster: WireCluster | undefined;
let clients: RealtimeClient[] = [];
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  clients = [];
  await cluster?.close();
});

function join(node: number, user: string): RealtimeClient {
  const client = new RealtimeClient(cluster?.nodes[node]?.url ?? '', {
    webSocket: CuttableSocket,
    token: () => user,
  });
  clients.push(client);
  return client;
}

describe('the client with a real cluster', () => {
  it('connects although more channels subscribe at once than the server accepts with hello (P3c)', async () => {
    cluster = await startWireCluster(1, {
      channels: [wireChannel('rooms.:room')],
      settings: { retry: settings.retry, limits: { ...settings.limits, maxEnvelopesPerFrame: 2 } },
    });
    const client = join(0, 'ada');
    const states: unknown[] = [];
    client.on('state', ({ state, code }) => states.push([state, code]));
    await Promise.all(['a', 'b', 'c', 'd'].map((room) => client.channel(`rooms.${room}`).subscribe()));
    expect(states).toEqual([
      ['connecting', undefined],
      ['waiting', 4805],
      ['connecting', undefined],
      ['live', undefined],
    ]);
  });

  it('delivers each event once and in order and appends each publish once, with connections cut at random (G2, G3, G4, P16)', async () => {
    const entropy = new SeededEntropy(11);
    cluster = await startWireCluster(2, {
      channels: [wireChannel('rooms.:room', { publish: ['said'] })],
      settings,
    });
    const { nodes } = cluster;
    const seen = new Map<RealtimeClient, ChannelEvent[]>();
    const gaps: ChannelGap[] = [];
    const published: Promise<unknown>[] = [];
    let resumes = 0;
    const members = [join(0, 'ada'), join(0, 'bob'), join(1, 'cid')];
    for (const client of members) {
      const room = client.channel(CHANNEL);
      const events: ChannelEvent[] = [];
      seen.set(client, events);
      room.on('*', (_, event) => events.push(event));
      room.on('gap', (gap) => gaps.push(gap));
      room.on('resumed', () => resumes++);
      await room.subscribe({ position: { epoch: 'none', seq: 0 } });
    }

    const PER_CLIENT = 150;
    for (let n = 0; n < PER_CLIENT; n++) {
      for (const [index, client] of members.entries()) {
        published.push(client.channel(CHANNEL).publish('said', { n }, { id: `${index}-${n}` }));
      }
      await elapse(2);
      if (entropy.int(6) === 0 && CuttableSocket.open.size > 0)
        entropy.pick([...CuttableSocket.open]).terminate();
    }
    const total = PER_CLIENT * members.length;
    await Promise.all(published);
    await until(
      () => [...seen.values()].every((events) => events.at(-1)?.seq === total),
      'the last event everywhere',
    );

    const [node] = nodes;
    if (node === undefined) throw new Error('no node');
    const log = await readLog(node, CHANNEL);
    expect(log.events).toHaveLength(total);
    expect(new Set(log.events.map(({ id }) => id)).size).toBe(total);
    for (const index of members.keys()) {
      const own = log.events
        .filter(({ id }) => id.startsWith(`${index}-`))
        .map(({ id }) => Number(id.split('-')[1]));
      expect(own).toEqual(Array.from({ length: PER_CLIENT }, (_, n) => n));
    }
    for (const events of seen.values()) {
      expect(events.map(({ seq, id }) => [seq, id])).toEqual(log.events.map(({ seq, id }) => [seq, id]));
    }
    expect(gaps).toEqual([]);
    expect(resumes).toBeGreaterThan(5);
  });

  it('reports the number of members in small and large channels, and the members where it can know them (G19, P22a, P22c)', async () => {
    const MAX = 5;
    const clock = new ManualClock();
    cluster = await startWireCluster(2, {
      clock,
      channels: [wireChannel('rooms.:room', { presence: { maxMembers: MAX } })],
      settings: { ...settings, heartbeat: { intervalMs: 1e8, timeoutMs: 1e8 } },
    });
    const watcher = join(0, 'watcher');
    const { presence } = watcher.channel(CHANNEL);
    const seen: (readonly [members: number, count: number])[] = [];
    presence.on('change', (members) => seen.push([members.length, presence.count]));
    await watcher.channel(CHANNEL).subscribe();
    const people: RealtimeClient[] = [];
    const counts = (count: number, complete: boolean) =>
      until(() => {
        clock.advance(100);
        return presence.count === count && presence.complete === complete;
      }, `${count} members`);
    for (let count = 2; count <= 2 * MAX; count++) {
      const person = join(count % 2, `u${count}`);
      people.push(person);
      await person.channel(CHANNEL).subscribe();
      await counts(count, count <= MAX);
    }
    expect(presence.members).toHaveLength(MAX);
    // The last to come was given the first page, and the number.
    expect(people.at(-1)?.channel(CHANNEL).presence).toMatchObject({ count: 2 * MAX, complete: false });
    for (let count = 2 * MAX - 1; count >= 1; count--) {
      await people.pop()?.close();
      await counts(count, count <= MAX);
    }
    expect(presence.members).toEqual([{ id: 'watcher', devices: 1 }]);
    // At no time were there more members than members.
    expect(seen.filter(([members, count]) => members > count)).toEqual([]);
  });
});
