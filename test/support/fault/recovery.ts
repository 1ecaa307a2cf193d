import type { FaultClient } from './client.js';
import type { HistoryRecorder } from './history-recorder.js';

/** Measures how long after an outage every client again receives, on each of its channels, what is published. */
export class RecoveryWatch {
  private waiting = new Set<string>();
  private endedAt: number | undefined;
  private readonly at = new Map<FaultClient, number>();

  constructor(
    private readonly history: HistoryRecorder,
    private readonly clients: readonly FaultClient[],
  ) {}

  /** The outage ended at this moment of `performance.now()`. */
  begin(endedAt: number): void {
    this.endedAt = endedAt;
    this.at.clear();
    for (const { name, channels } of this.clients)
      for (const channel of channels) this.waiting.add(`${name} ${channel}`);
  }

  note(client: FaultClient, channel: string, id: string): void {
    if (this.endedAt === undefined || this.waiting.size === 0) return;
    const outcome = this.history.publishes.get(id)?.outcome;
    // What was acknowledged before the end is an old event that was missed: it proves no way through.
    if (outcome !== undefined && outcome.at < this.endedAt) return;
    if (this.waiting.delete(`${client.name} ${channel}`)) this.at.set(client, performance.now());
  }

  get recovered(): boolean {
    return this.endedAt !== undefined && this.waiting.size === 0;
  }

  /** Who still receives nothing. */
  get missing(): readonly string[] {
    return [...this.waiting];
  }

  /** Milliseconds from the end of the outage until the last client, or the last one of a kind, received. */
  msOf(isOfKind: (client: FaultClient) => boolean = () => true): number {
    const endedAt = this.endedAt ?? 0;
    const last = [...this.at].flatMap(([client, at]) => (isOfKind(client) ? [at] : []));
    return Math.round(Math.max(endedAt, ...last) - endedAt);
  }

  /** Milliseconds from the end of the outage until every channel had taken a publish again. */
  get publishedMs(): number {
    const endedAt = this.endedAt ?? 0;
    const first = new Map<string, number>();
    for (const { channel, outcome } of this.history.publishes.values()) {
      if (outcome?.kind !== 'acknowledged' || outcome.at < endedAt) continue;
      first.set(channel, Math.min(outcome.at, first.get(channel) ?? Infinity));
    }
    return Math.round(Math.max(endedAt, ...first.values()) - endedAt);
  }
}
