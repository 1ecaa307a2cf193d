import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import {
  Injectable,
  Optional,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { Readings } from '../../core/engine/cluster/cluster-readings.js';
import { NODES_CHANNEL } from '../../core/engine/nodes-channel.js';
import { closeReasonOf } from '../../core/ports/close-reason.js';
import { systemClock } from '../../core/ports/clock.js';
import type { Observer } from '../../core/ports/observer.js';
import { requireRuntime } from '../../nest/errors/realtime-boot-error.js';
import { RealtimeRuntime } from '../../nest/index.js';
import { RefusalCounts } from '../refusal-counts.js';
import { RecentValues } from './recent-values.js';

const NS_PER_MS = 1e6;
/** How often the delays of the event loop are read, in milliseconds. */
const DELAY_EVERY_MS = 1_000;

/**
 * Counts what nothing else counts, and answers the nodes with all that this one counts and measures, wherever in the cluster somebody
 * looks.
 */
@Injectable()
export class NodeMeter implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly closed = new Map<string, number>();
  private readonly published = new Map<string, number>();
  private readonly deliveries = new RecentValues(systemClock);
  private delivered = 0;
  private delay: IntervalHistogram | undefined;
  private delayReadAt = 0;
  private delayMs = 0;

  constructor(
    @Optional() private readonly runtime: RealtimeRuntime,
    private readonly refusals: RefusalCounts,
  ) {
    requireRuntime(runtime, 'RealtimeAdminModule');
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
    const { engine } = this.runtime;
    const { traffic, memory, blocked, broker, draining, withholding } = engine.stats();
    const { sessions, channels } = engine.status;
    const { rss, heapUsed } = process.memoryUsage();
    const readings: Record<string, number> = {
      sessions,
      channels,
      draining: Number(draining),
      withholding: Number(withholding),
      broker_up: Number(broker === 'up'),
      rss_bytes: rss,
      heap_bytes: heapUsed,
      loop_delay_ms: this.loopDelay(),
      delivery_ms: this.deliveries.high(),
      delivered_total: this.delivered,
      queue_bytes: memory.outbox.bytes,
      queue_age_ms: Math.round(blocked.oldestMs),
      blocked: blocked.connections,
      ...named('closed', this.closed),
      ...named('published', this.published),
    };
    for (const { transport, open, bytesIn, bytesOut } of traffic) {
      add(readings, `open.${transport}`, open);
      add(readings, 'received_bytes_total', bytesIn);
      add(readings, 'sent_bytes_total', bytesOut);
    }
    for (const [kind, count] of Object.entries(this.refusals.read())) {
      if (kind.startsWith('gap.')) readings[`lost:${kind.slice('gap.'.length)}`] = count;
      // What a limit closes has ended for that reason.
      else if (!kind.startsWith('close.')) readings[`refused:${kind}`] = count;
    }
    return readings;
  }

  /** What 99 of 100 delays of the last second did not exceed, in milliseconds. */
  private loopDelay(): number {
    const now = systemClock.monotonic();
    if (this.delay !== undefined && now - this.delayReadAt >= DELAY_EVERY_MS) {
      this.delayMs = this.delay.count === 0 ? 0 : Math.round(this.delay.percentile(99) / NS_PER_MS);
      this.delay.reset();
      this.delayReadAt = now;
    }
    return this.delayMs;
  }

  private observer(): Observer {
    return {
      onConnectionClose: (_connection, code) => count(this.closed, closeReasonOf(code)),
      // What is sent to those who look is not what the node is for.
      onPublish: (pattern, outcome) => {
        if (pattern !== NODES_CHANNEL.pattern) count(this.published, outcome);
      },
      onDelivery: (pattern, events, sessions) => {
        if (pattern !== NODES_CHANNEL.pattern) this.delivered += events * sessions;
      },
      onPublishDelivered: (_pattern, durationMs) => this.deliveries.add(Math.round(durationMs * 10) / 10),
    };
  }
}

/** @param word one of the library's: there are few. */
function count(counts: Map<string, number>, word: string): void {
  counts.set(word, (counts.get(word) ?? 0) + 1);
}

function add(readings: Record<string, number>, name: string, value: number): void {
  readings[name] = (readings[name] ?? 0) + value;
}

function named(kind: string, counts: ReadonlyMap<string, number>): Readings {
  return Object.fromEntries([...counts].map(([word, times]) => [`${kind}:${word}`, times]));
}
