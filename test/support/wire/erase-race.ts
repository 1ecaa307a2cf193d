import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { settle } from '../engine/manual-clock.js';
import { patience } from '../patience.js';
import { SESSION_TRANSPORTS, type SessionTransport } from '../transport/session-transports.js';
import { until } from '../until.js';
import { wireChannel } from './channel.js';
import { readLog, type WireClusterOptions } from './cluster.js';
import type { WireServer } from './server.js';
import type { SessionClient, WireEnvelope } from './session-client.js';

// Events are erased while they are delivered, replayed and read, on two nodes. ERASURES says how many.
const ERASURES = Number(process.env['ERASURES'] ?? 60);
const SEED = Number(process.env['SEED'] ?? 29);
const READERS_PER_TRANSPORT = 2;
/** The erased event is one of the newest. */
const NEWEST = 12;
const CHANNEL = 'rooms.1';
const MANY = 1_000_000_000;

/** What is started for a race. */
export interface EraseRaceSite {
  readonly nodes: readonly WireServer[];
  close(): Promise<void>;
}

/** What was erased, in order: a connection that begins later may be sent none of it. */
class ErasedTexts {
  private readonly numbers = new Map<string, number>();

  get size(): number {
    return this.numbers.size;
  }

  add(text: string): void {
    this.numbers.set(text, this.numbers.size);
  }

  /** Whether a text was among the first so many. */
  isAmong(text: string, count: number): boolean {
    return (this.numbers.get(text) ?? Infinity) < count;
  }
}

/** The texts in an envelope. */
const TEXTS = /"(secret \d+)"/g;

/** One client that reads all the time, and comes back where it was. */
class Reader {
  client: SessionClient | undefined;
  private position: { epoch: string; seq: number } | undefined;
  private connections = 0;
  /** What may not come in this connection any more, by the number of envelopes that had come when that was known. */
  private readonly forbidden = new Map<string, number>();
  /** How much was erased before this connection. */
  private erasedBefore = 0;
  /** Events that were counted already, of those that came in this connection, and the last of them. */
  private looked = 0;
  private newest = 0;

  constructor(
    readonly name: string,
    private readonly transport: SessionTransport,
    private readonly erased: ErasedTexts,
  ) {}

  async open(node: WireServer): Promise<void> {
    this.client = await this.transport.open(
      { url: node.httpUrl },
      { name: `${this.name}.${++this.connections}` },
    );
    await this.client.hello(this.name.replaceAll(' ', '-'));
    this.forbidden.clear();
    this.erasedBefore = this.erased.size;
    [this.looked, this.newest] = [0, 0];
    const { position } = this;
    const reply = await this.client.subscribe(CHANNEL, position === undefined ? {} : { position });
    this.position ??= reply['position'] as { epoch: string; seq: number };
  }

  /** From the answer to this ping on, nothing of it may come: what was written before the receipt is in front of it. */
  async forbid(text: string): Promise<void> {
    const { client } = this;
    if (client === undefined) return;
    const pong = await client.call({ type: 'ping' });
    this.forbidden.set(text, client.received.lastIndexOf(pong));
    // Nobody asks for what has come: a client looks through it with each envelope.
    await client.nextAll(client.pending.length);
  }

  history(): Promise<unknown> {
    return (
      this.client?.call({ type: 'history', channel: CHANNEL, payload: { limit: 50 } }) ?? Promise.resolve()
    );
  }

  /** Judges what has come in this connection, and ends it. */
  close(violations: string[]): void {
    const { client } = this;
    if (client === undefined) return;
    client.terminate();
    this.client = undefined;
    for (const [place, envelope] of client.received.entries()) {
      const shown = JSON.stringify(envelope);
      for (const [, text = ''] of shown.matchAll(TEXTS))
        if (this.erased.isAmong(text, this.erasedBefore) || place >= (this.forbidden.get(text) ?? Infinity))
          violations.push(`${this.name}: ${text} in ${shown.slice(0, 100)}`);
    }
    this.follow(client.received, violations);
  }

  get seq(): number {
    const received = this.client?.received ?? [];
    for (; this.looked < received.length; this.looked++) {
      const envelope = received[this.looked];
      if (envelope !== undefined && isEvent(envelope)) this.newest = envelope.seq ?? 0;
    }
    return Math.max(this.position?.seq ?? 0, this.newest);
  }

  /** Every position once, in order, whatever was erased. */
  private follow(received: readonly WireEnvelope[], violations: string[]): void {
    const { position } = this;
    if (position === undefined) return;
    for (const { seq = 0 } of received.filter(isEvent)) {
      if (seq !== position.seq + 1) violations.push(`${this.name}: ${seq} after ${position.seq}`);
      position.seq = seq;
    }
  }
}

function isEvent({ type, channel }: WireEnvelope): boolean {
  return type === 'event' && channel === CHANNEL;
}

/** Defines the race. @param start makes two nodes of one cluster. */
export function describeEraseRace(
  title: string,
  start: (options: WireClusterOptions) => Promise<EraseRaceSite>,
): void {
  describe(title, () => {
    let site: EraseRaceSite;
    const draw = new SeededEntropy(SEED);
    const below = (bound: number): number => Math.floor(draw.random() * bound);
    const node = (): WireServer => site.nodes[below(site.nodes.length)] as WireServer;

    beforeAll(async () => {
      site = await start({
        channels: [wireChannel('rooms.:room', { behaviour: { authorize: { history: 'public' } } })],
        settings: {
          limits: {
            ratePerSecond: MANY,
            burst: MANY,
            bytesPerSecond: MANY,
            answerBytesPerSecond: MANY,
            userAnswerBytesPerSecond: MANY,
            connectsPerSecond: MANY,
          },
        },
      });
    });
    afterAll(() => site.close());

    it(
      'from the receipt on nothing erased is on the wire: live, replayed or read; every position comes once (P31, G29)',
      async () => {
        const violations: string[] = [];
        const erased = new ErasedTexts();
        const readers = SESSION_TRANSPORTS.flatMap((transport) =>
          Array.from(
            { length: READERS_PER_TRANSPORT },
            (_, index) => new Reader(`${transport.name} ${index}`, transport, erased),
          ),
        );
        const texts = new Map<number, string>();
        /** The places of the newest, in order. */
        let newest: number[] = [];
        let tip = 0;
        let published = 0;
        const publish = async (): Promise<void> => {
          const text = `secret ${++published}`;
          const { seq } = await node().engine.application.publish(CHANNEL, 'said', text);
          texts.set(seq, text);
          newest.push(seq);
          tip = Math.max(tip, seq);
        };
        for (const reader of readers) await reader.open(node());
        for (let round = 0; round < ERASURES; round++) {
          // Some of them wait in queues when the erasure comes.
          const slow = readers[below(readers.length)];
          if (below(3) === 0) slow?.client?.stopReading();
          const publishes = Array.from({ length: 1 + below(4) }, () => publish());
          await publishes[0];
          const reading = readers[below(readers.length)]?.history();
          for (let turns = below(6); turns > 0; turns--) await settle();
          newest = newest.filter((seq) => seq > tip - NEWEST && texts.has(seq));
          const seq = newest[below(newest.length)] ?? 1;
          const text = texts.get(seq) ?? '';
          const receipt = await node().engine.erase(CHANNEL, { seq });
          if (receipt.missing.length > 0) violations.push(`${receipt.missing.join()} did not confirm`);
          texts.delete(seq);
          slow?.client?.goOnReading();
          await Promise.all([...publishes, reading, ...readers.map((reader) => reader.forbid(text))]);
          erased.add(text);
          const comesBack = readers[below(readers.length)];
          if (comesBack !== undefined && below(2) === 0) {
            comesBack.close(violations);
            await comesBack.open(node());
          }
        }
        const { position } = await node().engine.application.history(CHANNEL);
        // The notices have places too.
        await until('every reader has every event', () => readers.every(({ seq }) => seq === position.seq));
        for (const reader of readers) reader.close(violations);
        expect(violations).toEqual([]);
        expect(erased.size).toBe(ERASURES);
        const log = await readLog(node(), CHANNEL);
        const oldest = log.events[0]?.seq ?? 0;
        expect(log.events.map(({ seq }) => seq)).toEqual(log.events.map((_, index) => oldest + index));
        expect(log.events.at(-1)?.seq).toBe(position.seq);
        const left = log.events.filter(({ event }) => event === 'said').map(({ payload }) => payload);
        const kept = [...texts].filter(([seq]) => seq >= oldest).map(([, text]) => text);
        expect(left.sort()).toEqual(kept.sort());
      },
      patience(ERASURES > 500 ? 400_000 : 60_000),
    );
  });
}
