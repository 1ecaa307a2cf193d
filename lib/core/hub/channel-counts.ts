/** How many channels of one pattern a node serves, and how many subscriptions they have. */
export interface PatternCounts {
  readonly pattern: string;
  channels: number;
  subscriptions: number;
}

/** Counts of what a node serves by pattern: there are as many as the application declares. */
export class ChannelCounts {
  private readonly patterns = new Map<string, PatternCounts>();

  of(pattern: string): PatternCounts {
    let counts = this.patterns.get(pattern);
    if (counts === undefined)
      this.patterns.set(pattern, (counts = { pattern, channels: 0, subscriptions: 0 }));
    return counts;
  }

  list(): readonly Readonly<PatternCounts>[] {
    return [...this.patterns.values()];
  }
}
