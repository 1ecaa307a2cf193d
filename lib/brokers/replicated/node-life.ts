import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { VERSIONS } from '../machine/partition.js';
import { perform, STATE_PARTITION, type Write } from './commander.js';

/** What the signs of life of a node need. */
export interface LifeSettings {
  readonly clock: Clock;
  readonly lease: string;
  readonly heartbeatMs: number;
  readonly nodeTtlMs: number;
}

/** What a sign of life tells the node when it came back. */
export interface LifeEvents {
  /** All that stood in the partition of the state before it is known. @param askedAt before it was written, by the monotonic clock. */
  onProved(askedAt: number): void;
  /** The node had no lease: what that kept has to be put into the log again. */
  onNew(): void;
  /** Once per interval, whatever becomes of the sign. */
  onBeat(): void;
}

/** Signs of life of this node in the log: its lease keeps all that the node has there. */
export class NodeLife {
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly write: Write,
    private readonly settings: LifeSettings,
    private readonly events: LifeEvents,
  ) {}

  /** Resolves when the first one came back. @throws RealtimeError */
  async start(): Promise<void> {
    await this.beat();
    this.schedule();
  }

  /** Gives no further sign: what is under way would never end where the log is away. */
  pause(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** Ends the lease at once. Never rejects. */
  async stop(): Promise<void> {
    this.pause();
    const command = { kind: 'goodbye', node: this.settings.lease } as const;
    await perform(this.write, STATE_PARTITION, command).catch(() => undefined);
  }

  /** Gives a sign now, e.g. when the log is back. */
  beatNow(): void {
    if (this.closed) return;
    this.beat().catch(() => undefined);
  }

  private schedule(): void {
    if (this.closed) return;
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => {
      this.events.onBeat();
      this.beatNow();
      this.schedule();
    });
  }

  private async beat(): Promise<void> {
    const { clock, lease: node, nodeTtlMs: leaseMs } = this.settings;
    const askedAt = clock.monotonic();
    const command = { kind: 'heartbeat', node, leaseMs, versions: VERSIONS } as const;
    const { isNew } = await perform(this.write, STATE_PARTITION, command);
    if (this.closed) return;
    this.events.onProved(askedAt);
    if (isNew) this.events.onNew();
  }
}
