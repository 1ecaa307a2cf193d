import { Injectable } from '@nestjs/common';
import type { Observer } from '../core/ports/observer.js';
import { closeNameOf, type CloseName } from '../protocol/close-codes.js';

/** Kinds that are counted apart. There are fewer: each is a code of a catalogue, or a status. */
const MAX_KINDS = 128;
const OTHERS = 'others';
/** Ends of a connection that a limit causes. */
const LIMIT_CLOSES: readonly (CloseName | undefined)[] = [
  'slow_consumer',
  'overloaded',
  'too_many_connections',
  'message_too_large',
  'rate_abuse',
  'replaced',
];

/** How often this node refused something, by kind, since it started. The names are for people, and for alarms. */
@Injectable()
export class RefusalCounts {
  private readonly counts = new Map<string, number>();

  readonly observer: Observer = {
    onRefusal: (at, reason) => this.add(`${at}.${reason}`),
    onCommandEnd: (_connection, { type }, outcome) => {
      // A `hello` that is refused is counted as that.
      if (type !== 'hello' && outcome !== 'ok' && outcome !== 'closed') this.add(`command.${outcome}`);
    },
    onRateLimit: () => this.add('rate'),
    onSpam: () => this.add('spam'),
    onConnectionClose: (_connection, code) => {
      const name = closeNameOf(code);
      if (LIMIT_CLOSES.includes(name)) this.add(`close.${name}`);
    },
    onGap: (_pattern, reason, events) => this.add(`gap.${reason}`, events),
    onAct: (act) => {
      if ('connection' in act) this.add(`abuse.${act.kind}`);
    },
  };

  /** By kind, in the order of their names. */
  read(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  private add(kind: string, times = 1): void {
    const key = this.counts.has(kind) || this.counts.size < MAX_KINDS ? kind : OTHERS;
    this.counts.set(key, (this.counts.get(key) ?? 0) + times);
  }
}
