import { describe, expect, it } from '@jest/globals';
import type { Position } from '../../../lib/protocol/position.js';
import { elapse, patience } from '../../support/patience.js';
import fc from '../../support/property.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireEnvelope } from '../../support/wire/client.js';
import { readLog, startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { WirePeer } from '../../support/wire/peer.js';
import type { WireServer } from '../../support/wire/server.js';
import { stall } from '../../support/wire/session.js';
import { NO_RATES } from '../../support/wire/no-rates.js';

// Random clients against two nodes over one store; a checker of histories says whether the promises were kept. What is
// checked while it runs (each event once and in order, or its range announced) is in ChannelFollower.

const CLIENTS = 4;
/** One that keeps everything, one that trims, one that replays little, one that keeps nothing, one with a slow handler. */
const CHANNELS = ['plain.1', 'short.1', 'limited.1', 'live.1', 'slow.1'] as const;
type ChannelName = (typeof CHANNELS)[number];
const DEFINITIONS = [
  wireChannel('plain.:room', { publish: ['said'], policy: { overflow: 'drop-oldest' } }),
  wireChannel('short.:room', { publish: ['said'], log: { size: 8 }, policy: { overflow: 'drop-oldest' } }),
  wireChannel('limited.:room', {
    publish: ['said'],
    policy: { replayLimit: 5, overflow: 'conflate' },
  }),
  wireChannel('live.:room', {
    publish: ['said'],
    log: { retain: false },
    policy: { overflow: 'drop-newest' },
  }),
  wireChannel('slow.:room', {
    policy: { overflow: 'disconnect' },
    behaviour: {
      publish: new Map([
        [
          'said',
          async ({ payload }) => {
            for (let turn = (payload as number) % 4; turn > 0; turn--)
              await new Promise((resolve) => setImmediate(resolve));
            return payload;
          },
        ],
      ]),
    },
  }),
];

interface Step {
  readonly who: number;
  readonly what:
    | 'connect'
    | 'cut'
    | 'subscribe'
    | 'subscribe anew'
    | 'unsubscribe'
    | 'publish'
    | 'publish a batch'
    | 'publish again'
    | 'history'
    | 'stop reading'
    | 'go on reading'
    | 'flood'
    | 'end a node'
    | 'lose the end of a log'
    | 'wait';
  readonly channel: ChannelName;
  readonly node: number;
  readonly n: number;
}

/** @param faults steps that take something away from the servers. */
const scripts = (faults: readonly Step['what'][]) =>
  fc.array(
    fc.record<Step>({
      who: fc.nat(CLIENTS - 1),
      what: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom<Step['what']>('connect', 'connect', 'cut') },
        {
          weight: 10,
          arbitrary: fc.constantFrom<Step['what']>(
            'subscribe',
            'subscribe',
            'subscribe',
            'subscribe anew',
            'unsubscribe',
          ),
        },
        {
          weight: 14,
          arbitrary: fc.constantFrom<Step['what']>('publish', 'publish a batch', 'publish again'),
        },
        { weight: 4, arbitrary: fc.constantFrom<Step['what']>('history', 'wait') },
        {
          weight: 8,
          arbitrary: fc.constantFrom<Step['what']>(
            'stop reading',
            'go on reading',
            'flood',
            'flood',
            'flood',
          ),
        },
        { weight: faults.length, arbitrary: fc.constantFrom<Step['what']>('wait', ...faults) },
      ),
      channel: fc.constantFrom(...CHANNELS),
      node: fc.nat(1),
      n: fc.nat(1_000),
    }),
    { minLength: 60, maxLength: 200, size: 'max' },
  );

/** One publish that a client wants in the log, however often it has to send it. */
interface Wanted {
  readonly user: string;
  readonly channel: ChannelName;
  readonly id: string;
  readonly payload: number;
  acknowledged: { readonly seq: number; readonly epoch: string } | undefined;
  /** Refused for good: nobody may find it in the log. */
  refused: string | undefined;
}

/** What clients wanted and learned, and what the application published. */
class History {
  readonly wanted: Wanted[] = [];
  readonly problems: string[] = [];

  note(publish: Wanted, answer: WireEnvelope | undefined): void {
    if (answer === undefined) return;
    const { seq, epoch, code } = answer.payload as { seq: number; epoch: string; code: string };
    if (answer.type === 'error') {
      // Outcomes that tell nothing are not told by a memory broker; what is retryable was not appended.
      publish.refused = code;
      return;
    }
    const { acknowledged, id } = publish;
    // Of another epoch it may be at another place: the first append was lost with the end of its log (G6).
    if (acknowledged?.epoch === epoch && acknowledged.seq !== seq) {
      this.problems.push(`${id} was acknowledged at ${acknowledged.seq} and at ${seq}`);
    }
    publish.acknowledged = { seq, epoch };
    publish.refused = undefined;
  }
}

class Client {
  readonly peer: WirePeer;
  private readonly lastId = new Map<ChannelName, Wanted>();
  private numbers = 0;
  reading = true;
  /** Where it is connected. */
  node = 0;
  /** Commands whose answers may still come. */
  readonly open = new Set<Promise<unknown>>();

  constructor(
    readonly name: string,
    private readonly history: History,
    codec: string,
  ) {
    this.peer = new WirePeer(name, { protocols: [`realtime.v1.${codec}`] });
  }

  async connect(nodes: readonly [WireServer, WireServer], node: number): Promise<void> {
    this.reading = true;
    this.node = node;
    await this.peer.connect(nodes[node] as WireServer);
  }

  /** Half of the clients stay away from the channel that disconnects the slow: they get to see the other policies. */
  wants(channel: ChannelName): boolean {
    return channel !== 'slow.1' || this.name < 'c2';
  }

  /** From now on what is sent to it waits in its queue. */
  async stopReading(nodes: readonly [WireServer, WireServer]): Promise<void> {
    const { client } = this.peer;
    const channel = CHANNELS.slice(0, -1).find((name) => this.peer.channel(name).isSubscribed);
    if (!this.reading || client === undefined || channel === undefined || !this.peer.isConnected) return;
    this.reading = false;
    // One that is thrown out meanwhile for being slow has no session to look at.
    await stall(nodes[this.node] as WireServer, { client, user: this.name, channel }).catch(() => undefined);
  }

  /** @param toTheEnd whether it reads everything that waited before the next step, or is interrupted. */
  async goOnReading(nodes: readonly [WireServer, WireServer], toTheEnd: boolean): Promise<void> {
    this.reading = true;
    this.peer.client?.goOnReading();
    if (!toTheEnd || !this.peer.isConnected) return;
    const { sessions } = (nodes[this.node] as WireServer).engine['parts'];
    await until('the queue to drain', () =>
      sessions.ofUser(this.name).every(({ outbox }) => outbox.bufferedBytes === 0),
    );
    await this.peer.settle();
  }

  later(work: Promise<unknown>): void {
    const done = work.finally(() => this.open.delete(done));
    this.open.add(done);
  }

  publish(channel: ChannelName, pipelined: boolean): void {
    const previous = this.lastId.get(channel);
    const wanted: Wanted = {
      user: this.name,
      channel,
      id: `m-${this.name}-${++this.numbers}`,
      payload: this.numbers,
      acknowledged: undefined,
      refused: undefined,
    };
    this.history.wanted.push(wanted);
    this.lastId.set(channel, wanted);
    const after =
      pipelined && previous !== undefined && previous.acknowledged === undefined
        ? { after: previous.id }
        : {};
    this.send(wanted, after);
  }

  /** As after a reconnect, or out of impatience: the same id, the same content. */
  again(n: number): void {
    const own = this.history.wanted.filter(({ user }) => user === this.name);
    const wanted = own[n % Math.max(1, own.length)];
    if (wanted !== undefined) this.send(wanted, {});
  }

  private send(wanted: Wanted, after: object): void {
    const { id, channel, payload } = wanted;
    // The peer tells answers apart by their ref: the id is the client's own while it waits for one.
    if (this.inFlight.has(id)) return;
    this.inFlight.add(id);
    const command = {
      type: 'publish',
      id,
      channel,
      event: 'said',
      payload,
      key: `k${payload % 3}`,
      ...after,
    };
    this.later(
      this.peer.call(command).then((answer) => {
        this.inFlight.delete(id);
        this.history.note(wanted, answer);
      }),
    );
  }

  private readonly inFlight = new Set<string>();
}

interface World {
  readonly cluster: WireCluster;
  readonly nodes: [WireServer, WireServer];
  readonly clients: readonly Client[];
  readonly history: History;
}

/** How often what happened, over all scripts: a run in which nothing went wrong proves nothing. */
const tally: Record<string, number> = {};
const count = (what: string, by = 1): void => void (tally[what] = (tally[what] ?? 0) + by);

async function play(script: readonly Step[]): Promise<void> {
  const cluster = await startWireCluster(2, {
    channels: DEFINITIONS,
    transport: { closeTimeoutMs: 50 },
    settings: {
      lingerMs: 1,
      ringSize: 4,
      outbox: { maxMessages: 12, maxBytes: 4 * 1024 * 1024 },
      limits: NO_RATES,
    },
  });
  const history = new History();
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new Client(`c${index}`, history, index % 2 === 0 ? 'json' : 'msgpack'),
  );
  const nodes = [...cluster.nodes] as [WireServer, WireServer];
  const world: World = { cluster, nodes, clients, history };
  try {
    for (const [index, client] of clients.entries()) {
      await client.connect(nodes, index % 2);
      for (const channel of CHANNELS) if (client.wants(channel)) await client.peer.follow(channel);
    }
    for (const step of script) await take(step, world);
    await comeToRest(world);
    await judge(world);
  } finally {
    for (const { peer } of clients) await peer.cut();
    await cluster.close();
  }
  expect(cluster.nodes.flatMap(({ records }) => records.filter(({ level }) => level === 'error'))).toEqual(
    [],
  );
  for (const { peer } of clients) {
    for (const { missing, recoveries, delivered } of peer.channels.values()) {
      for (const { why } of missing) count(`missing: ${why}`);
      for (const { recovery } of recoveries) count(recovery);
      count('delivered', delivered.length);
    }
  }
}

async function take(step: Step, { cluster, clients, nodes }: World): Promise<void> {
  const { channel, n } = step;
  const client = clients[step.who] as Client;
  const { peer } = client;
  const node = nodes[step.node] as WireServer;
  switch (step.what) {
    case 'connect':
      return await client.connect(nodes, step.node);
    case 'cut':
      client.reading = true;
      return await peer.cut();
    case 'subscribe':
      if (client.wants(channel)) client.later(peer.follow(channel));
      return;
    case 'subscribe anew':
      if (client.wants(channel)) client.later(peer.anew(channel));
      return;
    case 'unsubscribe':
      return client.later(peer.leave(channel));
    case 'publish':
      return client.publish(channel, n % 2 === 0);
    case 'publish a batch':
      for (let index = 0; index < n % 6; index++) client.publish(channel, true);
      return;
    case 'publish again':
      return client.again(n);
    case 'history':
      return client.later(
        peer.call({ type: 'history', channel, payload: { limit: 1 + (n % 10), reverse: n % 2 === 0 } }),
      );
    case 'stop reading':
      await client.stopReading(nodes);
      for (let index = 0; index < n % 40; index++) {
        void node.engine.application.publish(channel, 'said', index, { key: `k${index % 3}` });
        if (index % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      return;
    case 'go on reading':
      return await client.goOnReading(nodes, n % 2 === 0);
    case 'flood':
      // The application's own events.
      for (let index = 0; index < n % 30; index++) {
        void node.engine.application.publish(channel, 'said', n % 3 === 0 ? 'x'.repeat(50_000) : index, {
          key: `k${index % 3}`,
        });
      }
      return;
    case 'end a node': {
      // Its clients are told 4001, or nothing; another one takes its place over the same logs.
      await node.close();
      nodes[step.node as 0 | 1] = await cluster.start();
      return;
    }
    case 'lose the end of a log': {
      const { seq } = (await node.engine.application.history(channel, { limit: 1 })).position;
      cluster.store.failOver(channel, Math.max(0, seq - (n % 5)));
      return;
    }
    case 'wait':
      for (let turn = 0; turn < n % 5; turn++) await elapse(1);
  }
}

/** Everybody comes back, reads, sends again what is not acknowledged, and follows everything to the tip. */
async function comeToRest({ clients, nodes }: World): Promise<void> {
  for (const [index, client] of clients.entries()) {
    await client.goOnReading(nodes, index % 2 === 0);
    await client.connect(nodes, index % 2);
    await Promise.all(client.open);
  }
  for (const client of clients) {
    for (let n = 0; n < 400; n++) client.again(n);
    await Promise.all(client.open);
  }
  for (const { peer } of clients) for (const channel of CHANNELS) await peer.follow(channel);
  const tips = new Map<string, Position>();
  for (const channel of CHANNELS) {
    // The last event shows that nothing before it is missing in silence.
    await nodes[0].engine.application.publish(channel, 'said', 'the last');
    tips.set(channel, (await nodes[0].engine.application.history(channel, { limit: 1 })).position);
  }
  const isThere = ({ peer }: Client): boolean =>
    peer.failure !== undefined ||
    CHANNELS.every((channel) => peer.channel(channel).covered === tips.get(channel)?.seq) ||
    // One that was too slow for a channel that disconnects has learned it by its close.
    !peer.isConnected;
  await until('everybody at the tips', () => clients.every(isThere));
}

async function judge({ clients, nodes, history: { wanted, problems } }: World): Promise<void> {
  for (const { peer } of clients) peer.check();
  expect(problems).toEqual([]);
  for (const channel of CHANNELS) {
    const logs = await Promise.all(nodes.map((node) => readLog(node, channel)));
    // Both nodes read the same log.
    expect(logs[1]).toEqual(logs[0]);
    const { events, position } = logs[0] as (typeof logs)[0];
    const bySeq = new Map(events.map((event) => [event.seq, event]));
    // G2: whoever was delivered a seq of an epoch was delivered the same event, and what clients believe is the log.
    const identities = new Map<string, string>();
    for (const { seq, id } of events) identities.set(`${position.epoch} ${seq}`, id);
    for (const { peer } of clients) {
      const { delivered, view } = peer.channel(channel);
      for (const { epoch, seq, id } of delivered) {
        const known = identities.get(`${epoch} ${seq}`);
        if (known === undefined) identities.set(`${epoch} ${seq}`, id);
        else expect([channel, epoch, seq, id]).toEqual([channel, epoch, seq, known]);
      }
      for (const [seq, id] of view) {
        expect([channel, peer.name, seq, bySeq.get(seq)?.id ?? id]).toEqual([channel, peer.name, seq, id]);
        expect(seq).toBeLessThanOrEqual(position.seq);
      }
    }
    // G1, G4: what was acknowledged is in the log once, at its seq and as it was sent; nothing is there twice.
    const counts = new Map<string, number>();
    for (const { id, user } of events) if (user !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect([...counts].filter(([, times]) => times > 1)).toEqual([]);
    const own = wanted.filter((publish) => publish.channel === channel);
    for (const { id, acknowledged, payload, user } of own) {
      // A log that lost its end has lost what was acknowledged in it: that is what another epoch says (G6).
      if (acknowledged?.epoch !== position.epoch) continue;
      const event = bySeq.get(acknowledged.seq);
      // Trimmed, or of a channel that keeps nothing.
      if (event === undefined) expect(acknowledged.seq).toBeLessThan(events[0]?.seq ?? Infinity);
      else expect(event).toMatchObject({ id, payload, user });
    }
    // Everything was sent until it was acknowledged.
    expect(own.filter(({ acknowledged }) => acknowledged === undefined)).toEqual([]);
    // G3: nobody was told less than everything.
    for (const { peer } of clients) assertComplete(peer, channel);
  }
}

/** In each epoch every seq up to the last one delivered was delivered, or told to be missing, or is before the beginning. */
function assertComplete(peer: WirePeer, channel: string): void {
  const { delivered, missing, recoveries } = peer.channel(channel);
  for (const epoch of new Set(delivered.map((event) => event.epoch))) {
    const told = new Set<number>();
    const tell = (from: number, to: number): void => {
      for (let seq = from; seq <= Math.min(to, 100_000); seq++) told.add(seq);
    };
    for (const event of delivered) if (event.epoch === epoch) told.add(event.seq);
    for (const range of missing) if (range.epoch === epoch) tell(range.from, range.to);
    // Where a subscription began, anew or under this epoch, there is nothing to tell of what was before.
    for (const [index, { recovery, position, from }] of recoveries.entries()) {
      if (position.epoch !== epoch) continue;
      if (recovery === 'new' || recovery === 'lost') tell(1, position.seq);
      const isFirst = recoveries[index - 1]?.position.epoch !== epoch;
      if (isFirst && recovery === 'truncated') tell(1, (from as number) - 1);
      // The cursor came along from an epoch of which this one is the continuation.
      if (isFirst && recovery === 'complete')
        tell(1, (delivered.find((event) => event.epoch === epoch)?.seq ?? 1) - 1);
    }
    const tip = Math.max(...delivered.filter((event) => event.epoch === epoch).map(({ seq }) => seq));
    const untold: number[] = [];
    for (let seq = 1; seq <= tip; seq++) if (!told.has(seq)) untold.push(seq);
    expect([peer.name, channel, epoch, untold]).toEqual([peer.name, channel, epoch, []]);
  }
}

/** One script that hangs is found, and shown with its seed and path, before the whole takes too long, and that before jest. */
const OPTIONS = {
  seed: 42,
  numRuns: 20,
  timeout: patience(15_000),
  interruptAfterTimeLimit: patience(50_000),
} as const;

/** What a run must have come across. */
const SEEN = ['new', 'complete', 'truncated', 'lost', 'delivered'];
const MISSING = ['limit', 'trimmed', 'not_retained', 'expired', 'overflow', 'conflated'];

describe('random clients', () => {
  it(
    'random clients receive one order, with no event repeated and no loss unannounced, for any sequence of actions (P10, P12, P13, P14, P15, P16, P25, P28, G1, G2, G3, G4, G7)',
    async () => {
      await fc.assert(fc.asyncProperty(scripts(['end a node']), play), OPTIONS);
      for (const what of [...SEEN, ...MISSING.map((why) => `missing: ${why}`)]) {
        expect([what, tally[what] ?? 0]).not.toEqual([what, 0]);
      }
    },
    patience(60_000),
  );

  it(
    'random clients receive a consistent history also when logs lose their end (P10, G6, G3)',
    async () => {
      const faults = ['end a node', 'lose the end of a log', 'lose the end of a log'] as const;
      await fc.assert(fc.asyncProperty(scripts(faults), play), OPTIONS);
      expect(tally['missing: epoch_changed']).toBeGreaterThan(0);
    },
    patience(60_000),
  );
});
