import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Readings } from '../../core/engine/cluster/cluster-readings.js';
import { NODES_CHANNEL } from '../../core/engine/nodes-channel.js';
import type { Observer } from '../../core/ports/observer.js';
import { RealtimeRuntime } from '../../nest/index.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';

/** Codes without an entry in the catalogue that need no message of either side. */
const OTHER_CLOSES: readonly (readonly [number, string])[] = [
  [1001, 'going_away'],
  [1005, 'no_status'],
  [1006, 'abnormal'],
];
const CLOSE_REASONS: ReadonlyMap<number, string> = new Map([
  ...Object.entries(CLOSE_CODES).map(([name, { code }]) => [code, name] as const),
  ...OTHER_CLOSES,
]);
/** Most words of one kind: an application may refuse with codes of its own. */
const MAX_WORDS = 40;
/** What the words that are too many count as. */
const OTHER = 'other';
const NS_PER_MS = 1e6;

/** Counts by a word of the library. */
class Words {
  readonly counts = new Map<string, number>();

  add(word: string, count = 1): void {
    const known = this.counts.get(word);
    const name = known === undefined && this.counts.size >= MAX_WORDS ? OTHER : word;
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }
}

/**
 * Counts what nothing else counts, and answers the nodes with all that this one counts and measures, wherever in the cluster somebody
 * looks.
 */
@Injectable()
export class NodeMeter implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly closed = new Words();
  private readonly refused = new Words();
  private readonly published = new Words();
  private readonly lost = new Words();
  private delivered = 0;
  private delay: IntervalHistogram | undefined;

  constructor(private readonly runtime: RealtimeRuntime) {
    // Before the engine is made.
    runtime.observe(this.observer());
  }

  onApplicationBootstrap(): void {
    this.delay = monitorEventLoopDelay({ resolution: 10 });
    this.delay.enable();
    this.runtime.engine.readings.serve(() => this.readings());
  }

  onApplicationShutdown(): void {
    this.delay?.disable();
  }

  private readings(): Readings {
    const { sessions, channels, draining, withholding, broker } = this.runtime.engine.status;
    const { rss, heapUsed } = process.memoryUsage();
    return {
      sessions,
      channels,
      draining: Number(draining),
      withholding: Number(withholding),
      broker_up: Number(broker === 'up'),
      rss_bytes: rss,
      heap_bytes: heapUsed,
      loop_delay_ms: this.loopDelay(),
      delivered_total: this.delivered,
      ...named('closed', this.closed),
      ...named('refused', this.refused),
      ...named('published', this.published),
      ...named('lost', this.lost),
    };
  }

  /** The longest but one percent of the delays since it was read last, in milliseconds. */
  private loopDelay(): number {
    if (this.delay === undefined || this.delay.count === 0) return 0;
    const delay = this.delay.percentile(99) / NS_PER_MS;
    this.delay.reset();
    return Math.round(delay);
  }

  private observer(): Observer {
    return {
      onConnectionClose: (_connection, code) => this.closed.add(CLOSE_REASONS.get(code) ?? OTHER),
      onRefusal: (at, reason) => this.refused.add(`${at}.${reason}`),
      onRateLimit: () => this.refused.add('command.rate_limited'),
      // What is sent to those who look is not what the node is for.
      onPublish: (pattern, outcome) => {
        if (pattern !== NODES_CHANNEL.pattern) this.published.add(outcome);
      },
      onDelivery: (pattern, events, sessions) => {
        if (pattern !== NODES_CHANNEL.pattern) this.delivered += events * sessions;
      },
      onGap: (_pattern, reason, events) => this.lost.add(reason, events),
    };
  }
}

function named(kind: string, { counts }: Words): Readings {
  return Object.fromEntries([...counts].map(([word, count]) => [`${kind}:${word}`, count]));
}
