import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import type { MemoryDispatcher } from './dispatcher.js';
import type { MemoryNode } from './node.js';

const MIN_TRIM = 64;

type Ban = Extract<ControlMessage, { kind: 'ban' }>;

/** Carries control records to every node, in one order (G11). */
export class MemoryControl {
  private readonly open = new Set<OpenReceipt>();
  /** Bans that hold, for nodes that start later; those with an end are dropped when it has come. */
  private readonly bans = new Map<string, Ban>();
  /** Number of bans at which the ended ones are dropped; doubles, so that dropping stays O(1) per ban. */
  private trimAt = MIN_TRIM;

  constructor(
    private readonly clock: Clock,
    private readonly dispatcher: MemoryDispatcher,
  ) {}

  send(
    message: ControlMessage,
    sender: MemoryNode,
    nodes: readonly MemoryNode[],
    timeoutMs: number,
  ): Promise<ControlReceipt> {
    this.keep(message);
    return new Promise((resolve) => {
      const receipt: OpenReceipt = new OpenReceipt(sender, nodes, (result) => {
        this.open.delete(receipt);
        resolve(result);
      });
      this.open.add(receipt);
      receipt.startTimer(this.clock, timeoutMs);
      const run = () => {
        for (const node of nodes) if (!node.closed) tell(node, message, receipt);
      };
      this.dispatcher.enqueue({ kind: 'call', run });
      this.dispatcher.flush();
    });
  }

  /** Tells a node that starts which bans hold. */
  async catchUp(node: MemoryNode): Promise<void> {
    this.trim();
    await Promise.all([...this.bans.values()].map(async (ban) => node.listener.onControl(ban)));
  }

  /** A closed node confirms nothing more, and what it sent is answered with what is known. */
  forget(node: MemoryNode): void {
    for (const receipt of [...this.open]) {
      receipt.settle(node, false);
      if (receipt.sender === node) receipt.finish();
    }
  }

  /** Drops bans whose end has come. */
  private trim(): void {
    const now = this.clock.now();
    for (const [user, ban] of this.bans) {
      if (ban.until !== undefined && ban.until <= now) this.bans.delete(user);
    }
  }

  private keep(message: ControlMessage): void {
    if (message.kind === 'ban') {
      this.bans.set(message.user, message);
      if (this.bans.size < this.trimAt) return;
      this.trim();
      this.trimAt = Math.max(MIN_TRIM, 2 * this.bans.size);
    } else if (message.kind === 'unban') this.bans.delete(message.user);
  }
}

/** A control record whose confirmations are not all there. */
class OpenReceipt {
  private readonly waiting: Set<MemoryNode>;
  private readonly confirmed: string[] = [];
  private readonly missing: string[] = [];
  private timer: Scheduled | undefined;
  private finished = false;

  constructor(
    readonly sender: MemoryNode,
    nodes: readonly MemoryNode[],
    private readonly done: (receipt: ControlReceipt) => void,
  ) {
    this.waiting = new Set(nodes);
  }

  startTimer(clock: Clock, timeoutMs: number): void {
    this.timer = clock.schedule(timeoutMs, () => this.finish());
  }

  settle(node: MemoryNode, applied: boolean): void {
    if (!this.waiting.delete(node)) return;
    (applied ? this.confirmed : this.missing).push(node.id);
    if (this.waiting.size === 0) this.finish();
  }

  /** Answers; whoever has not confirmed is missing. */
  finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.timer?.cancel();
    for (const node of this.waiting) this.missing.push(node.id);
    this.waiting.clear();
    this.done({ confirmed: this.confirmed, missing: this.missing });
  }
}

/** The next record does not wait for this one's confirmation: a slow revoke must not hold up a ban. */
function tell(node: MemoryNode, message: ControlMessage, receipt: OpenReceipt): void {
  try {
    const result = node.listener.onControl(message);
    if (!isPromise(result)) {
      receipt.settle(node, true);
      return;
    }
    result.then(
      () => receipt.settle(node, true),
      () => receipt.settle(node, false),
    );
  } catch {
    receipt.settle(node, false);
  }
}
