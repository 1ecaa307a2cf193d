import type { Position } from '../../protocol/position.js';

/** What is known of a recent publish. */
export interface RecentPublish {
  readonly fingerprint: string;
  readonly position: Position;
  readonly until: number;
}

/**
 * The node's own memory of recent publishes, in front of the broker's dedupe (P15): a retry is answered without
 * running the application's handler again. Only a shortcut: the broker decides, on any node.
 */
export class RecentIds {
  private readonly entries = new Map<string, RecentPublish>();

  constructor(private readonly capacity = 10_000) {}

  find(channel: string, producer: string, id: string, now: number): RecentPublish | undefined {
    if (this.entries.size === 0) return undefined;
    const key = keyOf(channel, producer, id);
    const entry = this.entries.get(key);
    if (entry === undefined || entry.until > now) return entry;
    this.entries.delete(key);
    return undefined;
  }

  remember(channel: string, producer: string, id: string, publish: RecentPublish): void {
    const key = keyOf(channel, producer, id);
    this.entries.delete(key);
    this.entries.set(key, publish);
    if (this.entries.size <= this.capacity) return;
    const oldest = this.entries.keys().next();
    if (oldest.done !== true) this.entries.delete(oldest.value);
  }
}

function keyOf(channel: string, producer: string, id: string): string {
  // The length of the producer makes the key unambiguous whatever producer and id contain.
  return `${channel} ${producer.length} ${producer} ${id}`;
}
