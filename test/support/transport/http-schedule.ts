import { expect } from '@jest/globals';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { patience, stretched } from '../patience.js';
import { until } from '../until.js';
import { wireChannel } from '../wire/channel.js';
import { NO_RATES } from '../wire/no-rates.js';
import { readLog } from '../wire/cluster.js';
import type { HttpPlace } from '../wire/http-session-client.js';
import type { WireServer, WireServerOptions } from '../wire/server.js';
import { NEVER, ScheduledClient, type ScheduledCommand } from './scheduled-client.js';

/** Nodes that the schedule may kill. */
export interface ScheduleNodes {
  readonly alive: readonly WireServer[];
  /** Kills the first that lives, and starts another. */
  replace(): Promise<void>;
  /** How clients find the nodes that live. */
  places(): readonly HttpPlace[];
  close(): Promise<void>;
}

/** How large a schedule is. */
export interface ScheduleSize {
  readonly seed: number;
  readonly sessions: number;
  /** Commands of each client. */
  readonly commands: number;
  /** Nodes that are killed. */
  readonly kills: number;
}

/** Members of a room: everybody is sent what all of them say. */
const ROOM_SIZE = 8;

/** What ran, by the id that its client gave it. */
const ran = new Map<string, number>();

const once: ConnectionRequest = {
  authorize: 'public',
  handle: ({ payload }) => {
    ran.set(String(payload), (ran.get(String(payload)) ?? 0) + 1);
    return payload;
  },
};

/** What the nodes of a schedule are started with. */
export const SCHEDULE_OPTIONS: WireServerOptions = {
  channels: [
    wireChannel('rooms.:room', {
      log: { size: 100_000 },
      publish: ['said'],
      policy: { replayLimit: 100_000 },
    }),
  ],
  requests: new Map([['once', once]]),
  settings: {
    limits: {
      ...NO_RATES,
      maxConnectionsPerAddress: 1e5,
      connectsPerSecond: 1e6,
    },
    heartbeat: { intervalMs: stretched(250), timeoutMs: stretched(5_000) },
  },
};

/** @throws what the server broke. */
export async function playSchedule(nodes: ScheduleNodes, size: ScheduleSize): Promise<void> {
  const { seed, sessions, commands, kills } = size;
  const random = new SeededEntropy(seed);
  ran.clear();
  const clients = Array.from({ length: sessions }, (_, index) => {
    const name = `u${index}`;
    const own = Array.from({ length: commands }, (__, number): ScheduledCommand => {
      const type = random.int(3) === 0 ? 'request' : 'publish';
      return { type, id: `${name}-${number}` };
    });
    const room = `rooms.${Math.floor(index / ROOM_SIZE)}`;
    return new ScheduledClient(
      name,
      room,
      () => nodes.places(),
      own,
      seed * 1_000 + index,
      index % 3 === 0 ? 'sse' : 'polling',
    );
  });
  const rooms = Array.from({ length: Math.ceil(sessions / ROOM_SIZE) }, (_, index) => `rooms.${index}`);
  const running = clients.map((client) => client.run());
  const check = (): void => {
    for (const { failure } of clients) if (failure !== undefined) throw failure;
  };
  try {
    const limit = patience(60_000 + sessions * 500);
    await until(
      'everybody to be there',
      () => (check(), clients.every(({ sessions: had }) => had > 0)),
      limit,
    );
    for (let killed = 0; killed < kills; killed++) {
      const part = ((killed + 1) * sessions) / (kills + 2);
      await until(
        'some to be done',
        () => (check(), clients.filter(({ isDone }) => isDone).length >= part),
        limit,
      );
      await nodes.replace();
    }
    await until('every command', () => (check(), clients.every(({ isDone }) => isDone)), limit);
    const tips = new Map<string, number>();
    for (const room of rooms) tips.set(room, (await publishLast(nodes, room)).seq);
    await until(
      'everybody to have every event',
      () => (check(), clients.every(({ follower }) => follower.position?.seq === tips.get(follower.channel))),
      limit,
    );
  } finally {
    for (const client of clients) client.stop();
    for (const node of nodes.alive) node.cut();
    await Promise.all(running);
  }
  check();
  expect(ran.get(NEVER)).toBeUndefined();
  for (const room of rooms)
    await expectOnce(
      nodes,
      room,
      clients.filter(({ follower }) => follower.channel === room),
    );
}

const publishLast = ({ alive }: ScheduleNodes, room: string) =>
  (alive[0] as WireServer).engine.application.publish(room, 'said', 'last');

async function expectOnce(
  { alive }: ScheduleNodes,
  room: string,
  clients: readonly ScheduledClient[],
): Promise<void> {
  const { events } = await readLog(alive[0] as WireServer, room);
  const ids = events.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { name, commands, answers, unknown, follower } of clients) {
    for (const { type, id } of commands) {
      const answer = answers.get(id);
      if (answer === undefined) expect([type, unknown.has(id)]).toEqual(['request', true]);
      else expect([id, answer.type]).toEqual([id, 'reply']);
      if (type === 'request') {
        const times = ran.get(id) ?? 0;
        expect([id, times]).toEqual([id, answer === undefined ? Math.min(times, 1) : 1]);
      }
    }
    const published = commands.filter(({ type }) => type === 'publish').map(({ id }) => id);
    expect(ids.filter((id) => id.startsWith(`${name}-`)).sort()).toEqual([...published].sort());
    expect(follower.missing).toEqual([]);
    const delivered = follower.delivered.map(({ id }) => id);
    expect(delivered).toEqual(ids.slice(ids.length - delivered.length));
  }
}
