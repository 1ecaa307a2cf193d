import { RealtimeError } from '../protocol/realtime-error.js';
import type { Clock, Scheduled } from '../core/ports/clock.js';

/** Why a probe failed: it did not come back in time, or the broker did not take it. */
export type ProbeFailure = 'timeout' | 'refused';

/** Longest round trip of a probe, in milliseconds. */
const TIMEOUT_MS = 5_000;

export interface ProbesDeps {
  readonly clock: Clock;
  /** 0 for no probes. */
  readonly everyMs: number;
  /** Sends one; resolves to its round trip in milliseconds. */
  readonly probe: (timeoutMs: number) => Promise<number>;
  readonly onRoundTrip: (roundTripMs: number) => void;
  readonly onFailed: (cause: ProbeFailure) => void;
}

/** Sends a probe on the path of events from time to time, one at a time. */
export class Probes {
  private timer: Scheduled | undefined;
  private stopped = false;

  constructor(private readonly deps: ProbesDeps) {}

  start(): void {
    const { everyMs, clock } = this.deps;
    if (everyMs === 0 || this.stopped) return;
    this.timer = clock.schedule(everyMs, () => void this.run());
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private async run(): Promise<void> {
    const { probe, onRoundTrip, onFailed } = this.deps;
    try {
      onRoundTrip(await probe(TIMEOUT_MS));
    } catch (error) {
      // Of a node that stops, no probe fails.
      if (!this.stopped)
        onFailed(error instanceof RealtimeError && error.code === 'timeout' ? 'timeout' : 'refused');
    }
    this.start();
  }
}
