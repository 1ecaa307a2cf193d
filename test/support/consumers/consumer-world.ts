import { consumeSettings, consumerOf, type ConsumeOptions } from '../../../lib/consumers/index.js';
import type { ConsumerRun } from '../../../lib/core/ports/consumers.js';
import { ManualClock } from '../engine/manual-clock.js';
import { RecordingLogger } from '../engine/recording-logger.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { Ledger } from './ledger.js';
import { MemoryTopic, type MemoryRecord, type MemorySource } from './memory-topic.js';
import { NodeLife } from './node-life.js';

/** A node that consumes. */
export interface ConsumingNode {
  readonly run: ConsumerRun;
  readonly source: MemorySource;
  readonly life: NodeLife;
}

/** A topic, the channels that it becomes events of, and nodes in between. */
export class ConsumerWorld {
  readonly clock = new ManualClock();
  readonly logger = new RecordingLogger();
  readonly ledger = new Ledger();
  readonly topic: MemoryTopic;
  dedupeMs = 300_000;
  private readonly entropy = new SeededEntropy(20);

  constructor(partitions = 1) {
    this.topic = new MemoryTopic(partitions);
  }

  /** Starts a node. @param life ends it before one of its steps */
  node(options: Partial<ConsumeOptions<MemoryRecord>> = {}, life = new NodeLife()): ConsumingNode {
    const settings = consumeSettings<MemoryRecord>({ to: eventOf, ...options }, 'fromMemory', 'memory');
    const source = this.topic.source(life);
    const { clock, dedupeMs, entropy, ledger, logger } = this;
    const run = consumerOf(settings, () => source).open({
      ...{ clock, dedupeMs, entropy, logger },
      prepare: ledger.prepareFor(life),
    });
    run.start();
    return { run, source, life };
  }

  /** Lets everything happen that needs no more than that time. */
  pass(ms = 60_000): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Lines above `debug`. */
  get lines(): readonly string[] {
    return this.logger.records.filter(({ level }) => level !== 'debug').map(({ message }) => message);
  }
}

/** The channel of a key. */
export function eventOf({ key, value }: MemoryRecord): { channel: string; event: string; payload: string } {
  return { channel: key, event: 'changed', payload: value };
}
