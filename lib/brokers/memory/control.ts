import type { Clock } from '../../core/ports/clock.js';
import type { BanRecord, ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { applyControl, PendingReceipt } from '../common/receipt.js';
import type { MemoryDispatcher } from './dispatcher.js';
import type { MemoryNode } from './node.js';

const MIN_TRIM = 64;

interface KeptBan {
  readonly record: BanRecord;
  /** On the monotonic clock; `Infinity` without end. */
  readonly endsAt: number;
}

/** Carries control records to every node, in one order (G11). */
export class MemoryControl {
  /** Receipts that wait for confirmations, with the node that sent the record. */
  private readonly pending = new Map<PendingReceipt, MemoryNode>();
  /** Bans that hold, for nodes that start later; those with an end are dropped after it. */
  private readonly bans = new Map<string, KeptBan>();
  /** Number of bans at which the ended ones are dropped; doubles, so that dropping stays O(1) per ban. */
  private trimAt = MIN_TRIM;

  constructor(
    private readonly clock: Clock,
    private readonly dispatcher: MemoryDispatcher,
  ) {}

  async send(
    message: ControlMessage,
    sender: MemoryNode,
    nodes: readonly MemoryNode[],
    timeoutMs: number,
  ): Promise<ControlReceipt> {
    this.keep(message);
    const receipt: PendingReceipt = new PendingReceipt(this.clock, timeoutMs, () => receipt.finish());
    receipt.expect(nodes.map(({ id }) => id));
    this.pending.set(receipt, sender);
    this.dispatcher.run(() => {
      for (const { closed, id, listener } of nodes) {
        if (!closed) applyControl(listener, message, (applied) => receipt.settle(id, applied));
      }
    });
    try {
      return await receipt.result;
    } finally {
      this.pending.delete(receipt);
    }
  }

  /** Notifies a node that starts of the bans that hold. */
  async catchUp(node: MemoryNode): Promise<void> {
    this.trim();
    const now = this.clock.monotonic();
    const left = ({ record, endsAt }: KeptBan): BanRecord =>
      endsAt === Infinity ? record : { ...record, forMs: endsAt - now };
    await Promise.all([...this.bans.values()].map(async (ban) => node.listener.onControl(left(ban))));
  }

  /** Ends what a closed node has to do with records: it confirms nothing more, and what it sent is answered as known. */
  forget(node: MemoryNode): void {
    for (const [receipt, sender] of this.pending) {
      receipt.settle(node.id, false);
      if (sender === node) receipt.finish();
    }
  }

  /** Drops bans that have ended. */
  private trim(): void {
    const now = this.clock.monotonic();
    for (const [user, { endsAt }] of this.bans) if (endsAt <= now) this.bans.delete(user);
  }

  private keep(message: ControlMessage): void {
    if (message.kind === 'ban') {
      const endsAt = this.clock.monotonic() + (message.forMs ?? Infinity);
      this.bans.set(message.user, { record: message, endsAt });
      if (this.bans.size < this.trimAt) return;
      this.trim();
      this.trimAt = Math.max(MIN_TRIM, 2 * this.bans.size);
    } else if (message.kind === 'unban') this.bans.delete(message.user);
  }
}
