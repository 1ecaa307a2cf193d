import type { Clock, Scheduled } from '../../../core/ports/clock.js';
import type { ControlReceipt } from '../../../core/ports/control.js';

/** A control record whose confirmations are not all there. */
export class RedisReceipt {
  readonly result: Promise<ControlReceipt>;
  private readonly answers = new Map<string, boolean>();
  private expected: ReadonlySet<string> | undefined;
  private timer: Scheduled | undefined;
  private resolve: (receipt: ControlReceipt) => void = () => undefined;
  private finished = false;

  /** @param onTimeout Called when not all have answered in time; `finish` is then the owner's to call. */
  constructor(clock: Clock, timeoutMs: number, onTimeout: () => void) {
    this.result = new Promise((resolve) => (this.resolve = resolve));
    this.timer = clock.schedule(timeoutMs, onTimeout);
  }

  /** A node may answer before it is known who is asked. */
  settle(node: string, applied: boolean): void {
    this.answers.set(node, applied);
    this.check();
  }

  expect(nodes: readonly string[]): void {
    this.expected = new Set(nodes);
    this.check();
  }

  /** Answers; who has not confirmed is missing. */
  finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.timer?.cancel();
    const nodes = [...(this.expected ?? this.answers.keys())];
    this.resolve({
      confirmed: nodes.filter((node) => this.answers.get(node) === true),
      missing: nodes.filter((node) => this.answers.get(node) !== true),
    });
  }

  private check(): void {
    if (this.expected === undefined) return;
    for (const node of this.expected) if (!this.answers.has(node)) return;
    this.finish();
  }
}
