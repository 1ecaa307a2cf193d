// Revokes that race with everything a client can have under way, on two nodes and three transports. From the moment at which a revoke is
// confirmed, nothing of its channel may reach its user. REVOKES says how many; the seed makes the draws of a run repeatable.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../lib/core/ports/channel-definition.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { settle } from '../support/engine/manual-clock.js';
import { patience } from '../support/patience.js';
import { SESSION_TRANSPORTS, type SessionTransport } from '../support/transport/session-transports.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireServer } from '../support/wire/server.js';
import type { SessionClient, WireEnvelope } from '../support/wire/session-client.js';
import { RedisKit } from './kit.js';
import { startRedisNodes, type RedisNodes } from './nodes.js';

const REVOKES = Number(process.env['REVOKES'] ?? 240);
const SEED = Number(process.env['SEED'] ?? 16);
const ROOMS = 4;
const MANY = 1_000_000_000;
/** What tells something of a channel. A refusal, `unsubscribed` and the answer to an own publish do not. */
const TELLING = new Set(['event', 'signal', 'presence', 'gap', 'resumed', 'reset']);
const REFUSALS = new Set(['forbidden', 'not_subscribed', 'already_subscribed']);

let kit: RedisKit;
let running: RedisNodes;
const members = new Set<string>();
const draw = new SeededEntropy(SEED);
const below = (bound: number): number => Math.floor(draw.random() * bound);

/** Answers what was true when it was asked, some turns later: so long it may be out of date. */
async function late<T>(value: T): Promise<T> {
  for (let turns = below(6); turns > 0; turns--) await settle();
  return value;
}

const ifMember = ({ user, channel }: HandlerCall): Promise<boolean> =>
  late(members.has(`${user?.id ?? ''} ${channel}`));

const channels = [
  // Each action with an authorization of its own; in the other they come with the subscription.
  wireChannel('own.:room', {
    presence: { graceMs: 0 },
    signals: ['typing'],
    behaviour: {
      authorize: {
        subscribe: ifMember,
        publish: ifMember,
        signal: ifMember,
        request: ifMember,
        history: ifMember,
        presence: ifMember,
      },
      publish: new Map([['said', ({ payload }) => late(payload)]]),
      requests: new Map([['ask', () => late('secret answer')]]),
      snapshot: { shareable: true, run: () => late({ state: 'secret state' }) },
    },
  }),
  wireChannel('plain.:room', {
    presence: { graceMs: 0 },
    signals: ['typing'],
    behaviour: {
      authorize: { subscribe: ifMember, publish: ifMember },
      publish: new Map([['said', ({ payload }) => late(payload)]]),
      requests: new Map([['ask', () => late('secret answer')]]),
      snapshot: { shareable: false, run: () => late({ state: 'secret state' }) },
    },
  }),
];

function commandsOf(channel: string, id: string): readonly Readonly<Record<string, unknown>>[] {
  const position = { epoch: epochs.get(channel), seq: 0 };
  return [
    { type: 'subscribe', channel, payload: { presence: { data: 'secret member' } } },
    { type: 'subscribe', channel, payload: { position, presence: { data: 'secret member' } } },
    { type: 'publish', id: `p${id}`, channel, event: 'said', payload: 'secret' },
    { type: 'request', channel, event: 'ask' },
    { type: 'history', channel },
    { type: 'presence', channel },
    { type: 'signal', channel, event: 'typing', payload: 'secret' },
    { type: 'snapshot', channel },
    { type: 'presence_update', channel, payload: { data: `secret ${id}` } },
  ];
}

const epochs = new Map<string, string>();
const figures = { revokes: 0, patterns: 0, told: 0, refused: 0, granted: 0, reconnects: 0 };
const violations: string[] = [];

/** One user, and what races with the loss of access. */
class Racer {
  private client: SessionClient | undefined;
  private ticket: string | undefined;
  private round = 0;

  constructor(
    private readonly user: string,
    private readonly transport: SessionTransport,
    private readonly home: number,
  ) {}

  async run(): Promise<void> {
    while (figures.revokes < REVOKES) {
      figures.revokes++;
      await this.race(`${below(2) === 0 ? 'own' : 'plain'}.${below(ROOMS)}`);
    }
    this.client?.terminate();
  }

  private async race(channel: string): Promise<void> {
    const { user } = this;
    const id = `${user}-${++this.round}`;
    const client = await this.connected();
    const entry = `${user} ${channel}`;
    members.add(entry);
    const commands = commandsOf(channel, id);
    const underWay = [0, 1 + below(8), 2 + below(7)].slice(below(2)).map((index, place) => {
      // Mostly subscribed first: what comes behind the subscribe needs it.
      const command = commands[place === 0 && below(4) > 0 ? below(2) : index] ?? {};
      return this.send(client, command);
    });
    if (below(3) === 0) await underWay[0];
    const published = node(below(2)).engine.application.publish(channel, 'said', 'secret');
    for (let turns = below(12); turns > 0; turns--) await settle();

    members.delete(entry);
    const isPattern = below(3) === 0;
    if (isPattern) figures.patterns++;
    const receipt = await node(below(2)).engine.revoke(
      user,
      isPattern ? channel.replace(/\.\d+$/, '.:room') : channel,
    );
    if (receipt.missing.length > 0) violations.push(`${id}: ${receipt.missing.join()} did not confirm`);

    // What is published from now on carries the mark of this revoke.
    const mark = `after ${id}.`;
    const marked = node(below(2)).engine.application.publish(channel, 'said', `secret ${mark}`);
    // What was written before the confirmation is on the wire in front of this answer.
    const barrier = this.send(client, { type: 'ping' });
    const tries = [below(2), 2 + below(7)].map((index) =>
      this.send(client, commandsOf(channel, `${id}b`)[index] ?? {}),
    );
    await Promise.all([barrier, published, marked, ...underWay]);
    const refusals = await Promise.all(tries);
    await this.send(client, { type: 'ping' });
    for (const answer of refusals) {
      if (answer === undefined) continue;
      figures.refused++;
      if (answer.type !== 'error' || !REFUSALS.has(String(answer.payload['code'])))
        violations.push(`${id}: ${JSON.stringify(answer)} to what was sent after the revoke`);
    }
    this.judge(client, channel, id, mark, await barrier);
  }

  private judge(client: SessionClient, channel: string, id: string, mark: string, pong?: WireEnvelope): void {
    const { received } = client;
    const end = pong === undefined ? received.length : received.indexOf(pong);
    for (const [place, envelope] of received.entries()) {
      const text = JSON.stringify(envelope);
      if (text.includes('secret')) figures.told++;
      const isAfter = place > end && (text.includes('secret') || TELLING.has(envelope.type));
      if (text.includes(mark) || (isAfter && (envelope.channel ?? channel) === channel))
        violations.push(`${id}, ${this.transport.name}: ${text}`);
    }
    received.length = 0;
    (client.pending as WireEnvelope[]).length = 0;
  }

  private async send(
    client: SessionClient,
    command: Readonly<Record<string, unknown>>,
  ): Promise<WireEnvelope | undefined> {
    try {
      const answer = await client.call(command);
      if (answer.type === 'reply') figures.granted++;
      return answer;
    } catch (error) {
      // What a poll holds is withdrawn with its session; then nothing more comes.
      if (client.ended === undefined) throw error;
      return undefined;
    }
  }

  private async connected(): Promise<SessionClient> {
    if (this.client !== undefined && this.client.ended === undefined) return this.client;
    if (this.client !== undefined) figures.reconnects++;
    const [url, elsewhere] = [node(this.home).httpUrl, node(this.home + 1).httpUrl];
    const place = below(2) === 0 ? { url } : { url, elsewhere };
    const client = await this.transport.open(place, { name: this.user });
    const { session } = await client.hello(
      this.user,
      this.ticket === undefined ? {} : { session: this.ticket },
    );
    this.ticket = session;
    client.received.length = 0;
    return (this.client = client);
  }
}

function node(index: number): WireServer {
  return running.nodes[index % 2] as WireServer;
}

describe('revokes that race with commands, replays and live events', () => {
  beforeAll(async () => {
    kit = await RedisKit.open();
    running = await startRedisNodes(kit, 2, {
      channels,
      settings: {
        limits: {
          ratePerSecond: MANY,
          burst: MANY,
          userRatePerSecond: MANY,
          bytesPerSecond: MANY,
          answerBytesPerSecond: MANY,
          userAnswerBytesPerSecond: MANY,
          connectsPerSecond: MANY,
        },
      },
    });
    for (const kind of ['own', 'plain'])
      for (let room = 0; room < ROOMS; room++) {
        const { epoch } = await node(0).engine.application.publish(`${kind}.${room}`, 'said', 'secret');
        epochs.set(`${kind}.${room}`, epoch);
      }
  });
  afterAll(async () => {
    await running.close();
    await kit.dispose();
  });

  it(
    'from the confirmation on, nothing of the channel reaches the user, by WebSocket, SSE or polls (G11)',
    async () => {
      const began = performance.now();
      const racers = [0, 1, 2, 3].flatMap((number) =>
        SESSION_TRANSPORTS.map((transport) => new Racer(`${transport.name} ${number}`, transport, number)),
      );
      await Promise.all(racers.map((racer) => racer.run()));
      if (REVOKES > 1_000)
        process.stdout.write(
          `${JSON.stringify({ ...figures, ms: Math.round(performance.now() - began) })}\n`,
        );
      expect(violations).toEqual([]);
      // It is no race where nothing is under way.
      // How much is, depends on how fast a revoke is beside a command.
      expect(figures.told).toBeGreaterThan(REVOKES / 4);
      expect(figures.granted).toBeGreaterThan(REVOKES / 4);
      expect(figures.refused).toBeGreaterThan(REVOKES);
    },
    patience(REVOKES > 1_000 ? 900_000 : 60_000),
  );
});
