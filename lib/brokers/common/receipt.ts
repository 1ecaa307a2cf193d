import type { BrokerListener } from '../../core/ports/broker.js';
import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { isPromise } from '../../core/ports/maybe-promise.js';

/** The receipt of a control record for which not every node has answered yet. */
export class PendingReceipt {
  readonly result: Promise<ControlReceipt>;
  /** Whether each node that answered has applied the record. */
  private readonly answers = new Map<string, boolean>();
  private expected: ReadonlySet<string> | undefined;
  private readonly timer: Scheduled;
  private resolve: (receipt: ControlReceipt) => void = () => undefined;

  /** @param onTimeout Called when not all nodes have answered after `timeoutMs`; must call `finish`. */
  constructor(clock: Clock, timeoutMs: number, onTimeout: () => void) {
    this.result = new Promise((resolve) => (this.resolve = resolve));
    this.timer = clock.schedule(timeoutMs, onTimeout);
  }

  /** Notes the answer of a node; the first one counts. A node may answer before it is known which nodes are asked. */
  settle(node: string, applied: boolean): void {
    if (!this.answers.has(node)) this.answers.set(node, applied);
    this.check();
  }

  /** Says which nodes are asked. */
  expect(nodes: readonly string[]): void {
    this.expected = new Set(nodes);
    this.check();
  }

  /** Resolves `result` with what is known; a node that has not confirmed is missing. Idempotent. */
  finish(): void {
    this.timer.cancel();
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

/**
 * Hands a control record to a node's listener, and calls back once the listener has applied or refused it. The next record
 * does not wait for that: a slow revoke must not hold up a ban.
 */
export function applyControl(
  listener: Pick<BrokerListener, 'onControl'>,
  message: ControlMessage,
  settle: (applied: boolean) => void,
): void {
  try {
    const result = listener.onControl(message);
    if (isPromise(result)) {
      result.then(
        () => settle(true),
        () => settle(false),
      );
    } else {
      settle(true);
    }
  } catch {
    settle(false);
  }
}
