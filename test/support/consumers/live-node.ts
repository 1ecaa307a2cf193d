import type { ConsumerRun, RealtimeConsumer } from '../../../lib/core/ports/consumers.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { RecordingLogger } from '../engine/recording-logger.js';
import { until } from '../until.js';
import type { Ledger } from './ledger.js';
import { NodeLife } from './node-life.js';

/** A node that consumes from a real server, on the real clock, and publishes to a ledger. */
export class LiveNode {
  readonly logger = new RecordingLogger();
  readonly run: ConsumerRun;

  constructor(consumer: RealtimeConsumer, ledger: Ledger, dedupeMs = 300_000) {
    this.run = consumer.open({
      prepare: ledger.prepareFor(new NodeLife()),
      dedupeMs,
      clock: systemClock,
      entropy: systemEntropy,
      logger: this.logger,
    });
    this.run.start();
  }

  get lines(): readonly string[] {
    return this.logger.records.filter(({ level }) => level !== 'debug').map(({ message }) => message);
  }

  get published(): number {
    return this.run.status().counts.published;
  }

  /** Until it reads, or waits for another to leave. It may fail to publish before a look at its state: only who reads knows the lag. */
  async ready(): Promise<this> {
    await until('the source to be reached', () => {
      const { lag, state } = this.run.status();
      return state === 'working' || lag !== undefined;
    });
    return this;
  }

  close(ms = 5_000): Promise<void> {
    return this.run.close(ms);
  }
}
