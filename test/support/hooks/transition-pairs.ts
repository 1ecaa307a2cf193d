// Channels get and lose subscribers and members on several nodes, some of which are killed. TRANSITIONS says how many of these
// steps are taken, SEED which.
import { expect } from '@jest/globals';
import { TimeLeft } from '../../../lib/core/async/time-left.js';
import { ThrottledLog } from '../../../lib/core/async/throttled-log.js';
import type { Broker } from '../../../lib/core/ports/broker.js';
import type { Clock } from '../../../lib/core/ports/clock.js';
import type { BrokerTransitions } from '../../../lib/core/ports/transitions.js';
import { Deliveries } from '../../../lib/hooks/deliveries.js';
import { HookConsumer } from '../../../lib/hooks/hook-consumer.js';
import type { HookEvent, HookTarget } from '../../../lib/hooks/hook-event.js';
import { alteredBroker } from '../engine/altered-broker.js';
import type { FakeConnection } from '../engine/fake-connection.js';
import { channel, EngineHarness } from '../engine/harness.js';
import type { ManualClock } from '../engine/manual-clock.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';

const GIVEN = process.env['TRANSITIONS'];
const SEED = Number(process.env['SEED'] ?? 32);
const NODES = 3;
const CHANNELS = ['rooms.1', 'rooms.2', 'rooms.3'];
const USERS = ['u1', 'u2', 'u3'];
/** Most steps between two looks at what was recorded. */
const MOST_AT_ONCE = 8;
const TYPES: ReadonlySet<HookEvent['type']> = new Set([
  'channel.occupied',
  'channel.vacated',
  'member.joined',
  'member.left',
]);

/** How many steps are taken. */
export function stepsOf(otherwise: number): number {
  return GIVEN === undefined ? otherwise : Number(GIVEN);
}

/** What the schedule runs on. */
export interface PairsSite {
  readonly steps: number;
  readonly clock: Clock;
  /** A broker of one more node of the same cluster. */
  broker(): Broker;
  /** Lets time pass until the condition holds. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Lets time pass. */
  pause(ms: number): Promise<void>;
  readonly leaseMs: number;
  readonly graceMs: number;
}

/** What became of a schedule. */
export interface PairsReport {
  readonly steps: Readonly<Record<'join' | 'leave' | 'kill', number>>;
  /** Different events. */
  readonly events: number;
  /** Pairs of a beginning and its end. */
  readonly pairs: number;
  /** Events that came once more. */
  readonly repeated: number;
  readonly looks: number;
}

interface PairsNode {
  readonly name: string;
  readonly harness: EngineHarness;
  readonly consumer: HookConsumer;
  readonly transitions: BrokerTransitions;
  /** Ends as a process that is killed: it renews, releases and takes nothing from then on. */
  kill(): void;
}

interface Client {
  readonly node: PairsNode;
  readonly connection: FakeConnection;
  readonly channel: string;
  readonly user: string;
}

/** Runs the schedule, and checks that beginnings and ends of each channel and member alternate and are complete. */
export async function runPairs(site: PairsSite): Promise<PairsReport> {
  const draw = new SeededEntropy(SEED);
  const seen = new Map<string, HookEvent>();
  const clients: Client[] = [];
  const killed: PairsNode[] = [];
  const nodes: PairsNode[] = [];
  const steps = { join: 0, leave: 0, kill: 0 };
  let repeated = 0;
  let started = 0;
  const begun = site.clock.monotonic();
  const wordOf = (event: HookEvent): string => `${event.type} at ${Math.round(event.at - wallAtStart)}`;
  const wallAtStart = site.clock.now();
  let looks = 0;
  /** How often each thing began or ended since the last look. */
  const flips = new Map<string, number>();
  /** How many events of it there were at the last look. */
  const before = new Map<string, number>();

  const fences = new Set<string>();
  /** What was done since the last look. */
  const done: string[] = [];
  const record = (event: HookEvent): void => {
    if ('user' in event && event.user.startsWith('fence')) fences.add(thingOf(event));
    else if (seen.has(event.id)) repeated++;
    else seen.set(event.id, event);
  };
  const start = async (): Promise<void> => {
    nodes.push(await startNode(site, ++started, record));
  };
  const isHeld = (thing: string): boolean => clients.some((client) => thingsOf(client).includes(thing));
  const change = (what: keyof typeof steps, client: Client, act: () => void): void => {
    const was = thingsOf(client).map(isHeld);
    act();
    done.push(
      `${what} ${client.channel}/${client.user} on ${client.node.name} at ${Math.round(site.clock.monotonic() - begun)}`,
    );
    for (const [index, thing] of thingsOf(client).entries())
      if (isHeld(thing) !== was[index]) flips.set(thing, (flips.get(thing) ?? 0) + 1);
  };
  const join = async (): Promise<void> => {
    const node = draw.pick(nodes);
    const [name, user] = [draw.pick(CHANNELS), draw.pick(USERS)];
    const connection = await subscribe(site, node.harness, name, user);
    const client = { node, connection, channel: name, user };
    change('join', client, () => clients.push(client));
  };
  const leave = (): void => {
    const client = draw.pick(clients);
    change('leave', client, () => clients.splice(clients.indexOf(client), 1));
    if (draw.random() < 0.5) client.connection.drop();
    else client.connection.send({ type: 'unsubscribe', id: 'leave', channel: client.channel });
  };
  const kill = async (): Promise<void> => {
    const node = draw.pick(nodes);
    node.kill();
    nodes.splice(nodes.indexOf(node), 1);
    killed.push(node);
    for (const client of clients.filter((one) => one.node === node))
      change('kill', client, () => clients.splice(clients.indexOf(client), 1));
    await start();
  };
  /** What was recorded of the channels so far has come when this has. */
  const fence = async (member: string): Promise<void> => {
    const holds = CHANNELS.map((name) => ({ channel: name, member, holder: 'test', generation: 1 }));
    await nodes[0]?.transitions.hold(holds, site.leaseMs);
    await site.until(member, () => CHANNELS.every((name) => fences.has(`${name}/${member}`)));
  };
  const look = async (): Promise<void> => {
    looks++;
    const behind = (): readonly string[] =>
      allThings().filter((thing) => isOn(eventsOf(seen, thing)) !== isHeld(thing));
    await fence(`fence${looks}`);
    // Now what has come is what the broker has; what is not as it should be there ends by its grace or lease.
    await site.until(`events of ${behind().join(', ')}`, () => behind().length === 0);
    for (const thing of allThings()) {
      const events = eventsOf(seen, thing);
      const made = events.slice(before.get(thing) ?? 0);
      before.set(thing, events.length);
      // Fewer where it was vacated for less than the grace; never more.
      if (made.length > (flips.get(thing) ?? 0))
        throw new Error(`${thing} has ${made.map(wordOf).join(', ')} after ${done.join(', ')}`);
    }
    flips.clear();
    done.length = 0;
    // Others have taken over, or had nothing to take over.
    await Promise.all(killed.splice(0).map(({ harness }) => harness.stop()));
  };

  try {
    while (nodes.length < NODES) await start();
    for (let step = 0; step < site.steps;) {
      for (let left = draw.int(MOST_AT_ONCE) + 1; left > 0 && step < site.steps; left--, step++) {
        const drawn = draw.random();
        const kind = drawn < 0.08 ? 'kill' : drawn < 0.54 || clients.length === 0 ? 'join' : 'leave';
        steps[kind]++;
        if (kind === 'kill') await kill();
        else if (kind === 'join') await join();
        else leave();
        await site.pause(draw.random() * site.graceMs * 1.5);
      }
      await look();
    }
    while (clients.length > 0) leave();
    await look();
    let pairs = 0;
    for (const thing of allThings()) {
      const words = eventsOf(seen, thing).map((event) => isBeginning(event));
      // Beginning, end, beginning, end …
      expect({ thing, words }).toEqual({ thing, words: words.map((_, index) => index % 2 === 0) });
      expect(words.length % 2).toBe(0);
      pairs += words.length / 2;
    }
    return { steps, events: seen.size, pairs, repeated, looks };
  } finally {
    await Promise.all(nodes.map(({ consumer }) => consumer.stop(new TimeLeft(site.clock, 60_000))));
    await Promise.all([...nodes, ...killed].map(({ harness }) => harness.stop()));
  }
}

async function startNode(
  site: PairsSite,
  number: number,
  record: (event: HookEvent) => void,
): Promise<PairsNode> {
  const { clock, leaseMs, graceMs } = site;
  let dead = false;
  const inner = site.broker();
  const { transitions } = inner;
  if (transitions === undefined) throw new Error('The broker records no transitions');
  const unlessDead =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      dead ? new Promise<R>(() => undefined) : call(...args);
  const mine: BrokerTransitions = {
    hold: unlessDead((holds, ms) => transitions.hold(holds, ms)),
    release: unlessDead((hold, ms) => transitions.release(hold, ms)),
    take: unlessDead((limit) => transitions.take(limit)),
    done: unlessDead((ids) => transitions.done(ids)),
  };
  const harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: { graceMs } } })], {
    // Where the broker has a clock of its own, this is the one of the system.
    clock: clock as ManualClock,
    seed: number,
    broker: alteredBroker(inner, { transitions: mine }),
    holds: { channels: ['rooms.:room'], vacatedAfterMs: graceMs },
    settings: {
      nodeId: `node-${number}`,
      presenceLeaseMs: leaseMs,
      heartbeat: { intervalMs: 1_000_000_000 },
      limits: { maxConnectionsPerUser: 0, nodeConnectsPerSecond: 0, connectsPerSecond: 1_000_000 },
    },
  });
  const target: HookTarget = {
    name: `node-${number}`,
    types: TYPES,
    // What a node that is killed was delivering has come, and it could tell nobody.
    deliver: async (event) => {
      if (!dead) record(event);
    },
  };
  const journal = new ThrottledLog({ debug: note, warn: note, error: note }, clock);
  const deliveries = new Deliveries({
    targets: [target],
    clock,
    entropy: new SeededEntropy(number),
    journal,
  });
  const consumer = new HookConsumer({ transitions: mine, deliveries, clock, journal });
  consumer.start();
  return { name: target.name, harness, consumer, transitions: mine, kill: () => void (dead = true) };
}

function note(): void {}

async function subscribe(
  site: PairsSite,
  harness: EngineHarness,
  name: string,
  user: string,
): Promise<FakeConnection> {
  const connection = harness.connect();
  const has = (type: string) => () => connection.received.some((envelope) => envelope.type === type);
  connection.send({ type: 'hello', id: 'hello', payload: { versions: [1], token: `user:${user}` } });
  await site.until('welcome', has('welcome'));
  connection.send({ type: 'subscribe', id: 'join', channel: name });
  await site.until('the answer to subscribe', has('reply'));
  return connection;
}

function allThings(): readonly string[] {
  return CHANNELS.flatMap((name) => [name, ...USERS.map((user) => `${name}/${user}`)]);
}

function thingOf(event: HookEvent): string {
  if (event.type === 'user.offline') return event.user;
  return 'user' in event ? `${event.channel}/${event.user}` : event.channel;
}

function thingsOf({ channel: name, user }: Client): readonly string[] {
  return [name, `${name}/${user}`];
}

function eventsOf(seen: ReadonlyMap<string, HookEvent>, thing: string): readonly HookEvent[] {
  return [...seen.values()].filter((event) => thingOf(event) === thing);
}

function isBeginning({ type }: HookEvent): boolean {
  return type === 'channel.occupied' || type === 'member.joined';
}

function isOn(events: readonly HookEvent[]): boolean {
  const last = events.at(-1);
  return last !== undefined && isBeginning(last);
}
