import { RealtimeError, type RealtimeClient } from '../../../lib/client/index.js';
import { libraryClient } from './client.js';
import type { HistoryRecorder } from './history-recorder.js';
import type { SeededEntropy } from '../engine/seeded-entropy.js';
import { shuffled } from './shuffle.js';

export interface FaultPublisherOptions {
  readonly history: HistoryRecorder;
  readonly pick: () => string;
  readonly channels: readonly string[];
  readonly entropy: SeededEntropy;
  /** Publishes a second. */
  readonly rate: number;
}

/** Publishes at a steady rate through the library's client, which tries again under the same id (P17). */
export class FaultPublisher {
  private readonly client: RealtimeClient;
  private readonly underWay = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private round: string[] = [];
  private count = 0;
  private startedAt = 0;

  constructor(
    readonly name: string,
    private readonly options: FaultPublisherOptions,
  ) {
    this.client = libraryClient(name, options.pick);
  }

  start(): void {
    this.startedAt = performance.now();
    let due = 0;
    this.timer = setInterval(() => {
      const { rate } = this.options;
      const target = Math.floor(((performance.now() - this.startedAt) * rate) / 1_000);
      // A stalled process must not come back with a flood.
      due = Math.max(due, target - rate);
      for (; due < target; due++) this.publish(this.nextChannel());
    }, 10);
  }

  /** Stops publishing, and waits for the outcome of everything. */
  async finish(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
  }

  publish(channel: string): void {
    const { history } = this.options;
    const done = publishRecorded(this.client, history, {
      publisher: this.name,
      channel,
      id: `${this.name}-${++this.count}`,
    }).finally(() => this.underWay.delete(done));
    this.underWay.add(done);
  }

  /** Each channel once per round, in the seed's order: a channel that were left out would look like one that is down. */
  private nextChannel(): string {
    const { entropy, channels } = this.options;
    if (this.round.length === 0) this.round = shuffled(channels, entropy);
    return this.round.pop() ?? '';
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.client.close();
  }
}

/** Publishes through the library's client. Resolves when the outcome is recorded. */
export async function publishRecorded(
  client: RealtimeClient,
  history: HistoryRecorder,
  { publisher, channel, id }: { readonly publisher: string; readonly channel: string; readonly id: string },
): Promise<void> {
  history.invoke(publisher, channel, id);
  try {
    history.acknowledged(id, await client.channel(channel).publish('said', { id }, { id }));
  } catch (error) {
    const code = error instanceof RealtimeError ? error.code : String(error);
    if (code === 'outcome_unknown' || code === 'unavailable') history.unknown(id, code);
    else history.refused(id, code);
  }
}
