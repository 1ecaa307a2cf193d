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
export class RecentPublishes {
  /**
   * Two generations, of which the older is let go whole when the younger is full: taking out the oldest entry of a map one
   * by one makes it slower and slower, for what is taken out stays in its table until that is made anew.
   */
  private younger = new Map<string, RecentPublish>();
  private older = new Map<string, RecentPublish>();

  /** @param capacity Most publishes that are known; at least half as many are. */
  constructor(private readonly capacity = 20_000) {}

  find(channel: string, producer: string, id: string, now: number): RecentPublish | undefined {
    if (this.younger.size === 0 && this.older.size === 0) return undefined;
    const key = keyOf(channel, producer, id);
    const entry = this.younger.get(key) ?? this.older.get(key);
    return entry !== undefined && entry.until > now ? entry : undefined;
  }

  remember(channel: string, producer: string, id: string, publish: RecentPublish): void {
    if (this.younger.size >= this.capacity / 2) {
      this.older = this.younger;
      this.younger = new Map();
    }
    this.younger.set(keyOf(channel, producer, id), publish);
  }
}

function keyOf(channel: string, producer: string, id: string): string {
  // The length of the producer makes the key unambiguous whatever producer and id contain.
  return `${channel} ${producer.length} ${producer} ${id}`;
}
