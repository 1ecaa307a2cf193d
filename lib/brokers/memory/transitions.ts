import type { Clock } from '../../core/ports/clock.js';
import type { Hold, Transition } from '../../core/ports/transitions.js';
import { readThing, thingName } from '../common/thing-name.js';
import { Deadlines, timeOf, type Expiring } from './deadlines.js';
import type { Ledger } from './ledger.js';
import { full, type MemoryNode } from './node.js';
import { DEVICE_BYTES, MEMBER_BYTES } from './weight.js';

/** Most records that wait for a consumer; beyond it the oldest are dropped. */
const MAX_RECORDS = 20_000;
/** How long a node is the consumer after it last asked. */
const CONSUMER_MS = 5_000;

interface Holder {
  generation: number;
  until: number;
}

/** A thing that is held. */
interface Thing extends Expiring {
  readonly name: string;
  readonly holders: Map<string, Holder>;
  /** The latest end of its holders. */
  until: number;
}

interface TransitionsStore {
  readonly clock: Clock;
  reserve(bytes: number): boolean;
}

/** Transitions of a store: what is held, by whom, and the record of what began and ended. */
export class MemoryTransitions {
  private readonly things = new Map<string, Thing>();
  private readonly deadlines: Deadlines<Thing>;
  private readonly records = new Map<string, Transition>();
  /** Ids of records that the consumer was handed. */
  private handed = new Set<string>();
  private consumer: MemoryNode | undefined;
  private consumerUntil = 0;
  private made = 0;
  private written = 0;
  private lastAt = -Infinity;

  constructor(
    private readonly store: TransitionsStore,
    private readonly ledger: Ledger,
    /** Makes ids of records differ from those of other stores, such as the one of this application before it was restarted. */
    private readonly token: string,
  ) {
    this.deadlines = new Deadlines<Thing>(store.clock, () => this.expire());
  }

  start(): void {
    this.deadlines.start();
  }

  stop(): void {
    this.deadlines.stop();
  }

  /** @throws RealtimeError `unavailable` when there is no room for a new holder; the others are kept. */
  hold(holds: readonly Hold[], leaseMs: number): void {
    const now = this.expire();
    let refused = false;
    for (const hold of holds) refused = !this.add(hold, now, leaseMs) || refused;
    if (refused) throw full();
  }

  release(hold: Hold, graceMs: number): void {
    const now = this.expire();
    const thing = this.things.get(thingName(hold));
    const holder = thing?.holders.get(hold.holder);
    if (thing === undefined || holder === undefined || isFenced(holder, hold, now)) return;
    if (graceMs > 0) {
      holder.generation = hold.generation;
      holder.until = now + graceMs;
    } else this.drop(thing, hold.holder);
    this.settle(thing, now);
  }

  take(node: MemoryNode, limit: number): readonly Transition[] {
    const now = this.expire();
    const isTaken = this.consumer?.closed === false && this.consumerUntil > now;
    if (isTaken && this.consumer !== node) return [];
    if (!isTaken || this.consumer !== node) this.handed = new Set();
    this.consumer = node;
    this.consumerUntil = now + CONSUMER_MS;
    const out: Transition[] = [];
    for (const record of this.records.values()) {
      if (out.length >= limit) break;
      if (!this.handed.has(record.id)) out.push(record);
    }
    for (const { id } of out) this.handed.add(id);
    return out;
  }

  done(ids: readonly string[]): void {
    for (const id of ids) this.forget(id);
  }

  private add(hold: Hold, now: number, leaseMs: number): boolean {
    const name = thingName(hold);
    const known = this.things.get(name);
    const holder = known?.holders.get(hold.holder);
    if (holder !== undefined && isFenced(holder, hold, now)) return true;
    const bytes =
      (known === undefined ? thingBytes(name) : 0) + (holder === undefined ? holderBytes(hold.holder) : 0);
    if (bytes > 0 && !this.store.reserve(bytes)) return false;
    this.ledger.charge(bytes);
    const thing = known ?? this.make(name);
    thing.holders.set(hold.holder, { generation: hold.generation, until: now + leaseMs });
    this.settle(thing, now);
    return true;
  }

  private make(name: string): Thing {
    this.made += 1;
    const thing: Thing = { name, holders: new Map(), until: Infinity, order: this.made, index: -1, key: 0 };
    this.things.set(name, thing);
    this.record(name, true);
    return thing;
  }

  /** Drops holders whose end has come, and ends a thing that has no other. */
  private settle(thing: Thing, now: number): void {
    let latest = -Infinity;
    for (const [name, { until }] of thing.holders) {
      if (until <= now) this.drop(thing, name);
      else latest = Math.max(latest, until);
    }
    if (thing.holders.size > 0) {
      thing.until = latest;
      // An end that came nearer is in its place only when it is put there again.
      this.deadlines.track(thing);
      return;
    }
    thing.until = Infinity;
    this.things.delete(thing.name);
    this.ledger.credit(thingBytes(thing.name));
    this.record(thing.name, false);
  }

  private drop(thing: Thing, holder: string): void {
    if (thing.holders.delete(holder)) this.ledger.credit(holderBytes(holder));
  }

  private expire(): number {
    const now = timeOf(this.store.clock);
    if (this.deadlines.next <= now) for (const thing of this.deadlines.take(now)) this.settle(thing, now);
    return now;
  }

  private record(name: string, held: boolean): void {
    this.written += 1;
    const ts = this.store.clock.now();
    // It may be set back.
    this.lastAt = Math.max(this.lastAt, ts);
    const id = `${this.token}-${this.written}`;
    this.records.set(id, { ...readThing(name), id, held, at: this.lastAt });
    this.ledger.charge(recordBytes(name));
    const [oldest] = this.records.keys();
    if (this.records.size > MAX_RECORDS && oldest !== undefined) this.forget(oldest);
  }

  private forget(id: string): void {
    const record = this.records.get(id);
    if (record === undefined) return;
    this.records.delete(id);
    this.handed.delete(id);
    this.ledger.credit(recordBytes(thingName(record)));
  }
}

function isFenced({ generation, until }: Holder, hold: Hold, now: number): boolean {
  return until > now && hold.generation < generation;
}

function thingBytes(name: string): number {
  return MEMBER_BYTES + 2 * name.length;
}

function holderBytes(name: string): number {
  return DEVICE_BYTES + 2 * name.length;
}

function recordBytes(name: string): number {
  return DEVICE_BYTES + 2 * name.length;
}
