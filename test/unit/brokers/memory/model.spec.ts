import { describe, expect, it } from '@jest/globals';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { memoryBroker, MemoryStore, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { patience } from '../../../support/patience.js';
import { activeOf, deadPlaces, recount } from './recount.js';

/** A change of the store's state: both stores are given it at the same time. */
type Command = (broker: MemoryBroker, store: MemoryStore) => Promise<unknown>;

const NAMES = Array.from({ length: 14 }, (_, index) => `room.${index}`);
const MEMBERS = ['ada', 'bob', 'cy'];
const PRODUCERS = ['u:ada', 'u:bob', 's:one', 's:two', 's:three', 'a:app'];

/** A store under a small bound, with what its listener heard and its calls answered. */
class Side {
  readonly clock = new ManualClock();
  readonly store: MemoryStore;
  readonly heard: unknown[] = [];
  readonly answers: unknown[] = [];
  private broker: MemoryBroker | undefined;

  constructor(sweepMs: number) {
    this.store = new MemoryStore({
      clock: this.clock,
      entropy: new SeededEntropy(3),
      maxBytes: 65_536,
      maxIdBytes: 12_000,
      maxIdleChannels: 9,
      headMs: 40_000,
      sweepMs,
    });
  }

  /** Starts the broker, which starts the timers. */
  async start(): Promise<void> {
    this.broker = memoryBroker({ store: this.store });
    const seen = new RecordingListener();
    const hear = this.heard;
    seen.onEvents = (channel, events) =>
      hear.push(['events', channel, events.map(({ seq, epoch, id }) => [seq, epoch, id])]);
    seen.onPresence = (channel, diff) => hear.push(['presence', channel, diff]);
    seen.onSignal = (channel, signal) => hear.push(['signal', channel, signal]);
    await this.broker.start(seen, 'node');
  }

  async run(command: Command): Promise<void> {
    if (this.broker === undefined) throw new Error('Not started');
    this.answers.push(await command(this.broker, this.store).catch((error: unknown) => String(error)));
  }

  async read(name: string): Promise<unknown> {
    const page = await this.broker?.log.read({ channel: name, from: 1, limit: 100 });
    const members = await this.broker?.presence.members(name, { limit: 100 });
    return [page?.tip, page?.oldest, page?.events.map(({ seq, epoch, id }) => [seq, epoch, id]), members];
  }

  close(): Promise<void> | undefined {
    return this.broker?.close();
  }
}

function randomCommand(entropy: SeededEntropy, step: number): Command {
  const channel = entropy.pick(NAMES);
  const member = entropy.pick(MEMBERS);
  const entry = {
    channel,
    member,
    device: entropy.pick(['phone', 'laptop']),
    generation: 1 + entropy.int(2),
    ...(entropy.int(2) === 0 ? {} : { data: { state: 'x'.repeat(entropy.int(300)), list: [[], []] } }),
  };
  const ms = 1_000 + entropy.int(20_000);
  const graceMs = entropy.pick([0, 1, ms]);
  const kind = entropy.int(20);
  if (kind < 10) {
    const count = 1 + entropy.int(4);
    const requests = Array.from({ length: count }, (_, index) => {
      const id = entropy.int(4) === 0 ? `again${entropy.int(5)}` : `e${step}-${index}`;
      const size = entropy.int(3) === 0 ? entropy.int(4_000) : entropy.int(300);
      const payload = entropy.int(2) === 0 ? 'y'.repeat(size) : { a: [1, {}, 'z'.repeat(size)] };
      return {
        channel: entropy.int(3) === 0 ? entropy.pick(NAMES) : channel,
        producer: entropy.pick(PRODUCERS),
        fingerprint: 'f',
        event: { id, event: 'm', payload },
        bytes: 60 + size,
        policy: {
          retain: entropy.int(8) > 0,
          size: entropy.pick([1, 3, 20]),
          maxBytes: entropy.pick([500, 6_000, 100_000]),
          ttlMs: entropy.pick([3_000, 10_000, 60_000]),
          dedupeMs: entropy.pick([0, 2_000, 15_000]),
        },
      };
    });
    return (broker) => broker.log.appendMany(requests);
  }
  if (kind === 10) return (broker) => broker.log.subscribe(channel);
  if (kind === 11 || kind === 12) return (broker) => broker.log.unsubscribe(channel);
  if (kind < 15) return (broker) => broker.presence.enter(entry, ms);
  if (kind === 15) return (broker) => broker.presence.update(entry);
  if (kind === 16) return (broker) => broker.presence.leave(entry, graceMs);
  if (kind === 17)
    return (broker) => broker.presence.renew([entry, { ...entry, channel: NAMES[0] ?? '' }], ms);
  const keep = entropy.int(4);
  const clears = entropy.int(2) === 0;
  return async (_broker, store) => (clears ? store.clear(channel) : store.failOver(channel, keep));
}

describe('MemoryStore: the same commands at the same times', () => {
  it.each(Array.from({ length: 20 }, (_, index) => 1_000 + index))(
    'give the same answers, notifications and accounts, whatever timers and reads came between (seed %i)',
    async (seed) => {
      const entropy = new SeededEntropy(seed);
      const noise = new SeededEntropy(seed + 7);
      // One side has timers that run often and is read all the time; of the other no timer ever runs late enough to matter.
      const [busy, quiet] = [new Side(1 + noise.int(3_000)), new Side(1e9)];
      await busy.start();
      await quiet.start();
      for (let step = 0; step < 250; step += 1) {
        const command = randomCommand(entropy, step);
        const pause = entropy.pick([0, 0, 1, 50, 700, 3_000, 16_000]);
        await busy.run(command);
        await quiet.run(command);
        for (let read = noise.int(4); read > 0; read -= 1)
          await busy.read(noise.pick([...NAMES, `never.${step}`]));
        if (noise.int(5) === 0) busy.clock.jump(noise.pick([-3_600_000, 3_600_000]));
        const part = noise.int(pause + 1);
        busy.clock.advance(part);
        if (noise.int(2) === 0) expect(busy.store.stats.bytes).toBe(recount(busy.store).bytes);
        busy.clock.advance(pause - part);
        skip(quiet.clock, pause);
        if (step % 10 !== 0) continue;
        expect(busy.store.stats).toEqual(quiet.store.stats);
        const counted = recount(quiet.store);
        expect(quiet.store.stats).toMatchObject({ bytes: counted.bytes, idBytes: counted.idBytes });
        expect(counted.bytes).toBeLessThanOrEqual(65_536);
        expect(activeOf(quiet.store)).toBe(counted.active);
        expect(deadPlaces(quiet.store)).toBe(0);
      }
      expect(quiet.answers).toEqual(busy.answers);
      for (const name of NAMES) expect(await quiet.read(name)).toEqual(await busy.read(name));
      expect(quiet.heard).toEqual(busy.heard);
      for (const side of [busy, quiet]) {
        for (const name of NAMES) await side.run((broker) => broker.log.unsubscribe(name));
        side.clock.advance(200_000);
        expect(side.store.stats).toMatchObject({ bytes: 0, idBytes: 0, channels: 0 });
        await side.close();
        expect(side.clock.pending).toBe(0);
      }
    },
    patience(20_000),
  );
});

/** Time passes, and no timer runs: as if the process had stood still. */
function skip(clock: ManualClock, ms: number): void {
  const inside = clock as unknown as { time: number };
  inside.time += ms;
}
