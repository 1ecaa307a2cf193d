import type { Position } from '../../protocol/position.js';

/** What is remembered of a publish. */
export interface RecentPublish {
  readonly fingerprint: string;
  readonly position: Position;
  readonly until: number;
}

/**
 * The publishes that this node remembers, in front of the broker's dedupe (P15): a retry is answered without running the
 * application's handler again. Only a shortcut: the broker decides, on any node.
 */
export class RecentPublishes {
  /**
   * Two generations. The older one is dropped as a whole when the younger one is full: removing the oldest entries of a map one
   * by one makes it slower and slower, since removed entries stay in its table until that is rebuilt.
   */
  private younger = new Map<string, RecentPublish>();
  private older = new Map<string, RecentPublish>();

  /** @param capacity most publishes that are remembered; at least the newest half of them are. */
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
