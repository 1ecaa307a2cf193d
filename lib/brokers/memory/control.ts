import type { Clock } from '../../core/ports/clock.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { applyControl, PendingReceipt } from '../common/receipt.js';
import type { MemoryDispatcher } from './dispatcher.js';
import type { MemoryNode } from './node.js';

/** Carries control records to every node, in one order (G11). */
export class MemoryControl {
  /** Receipts that wait for confirmations, with the node that sent the record. */
  private readonly pending = new Map<PendingReceipt, MemoryNode>();

  constructor(
    private readonly clock: Clock,
    private readonly dispatcher: MemoryDispatcher,
  ) {}

  /** Hands a record, which is kept already, to the nodes. */
  async send(
    message: ControlMessage,
    sender: MemoryNode,
    nodes: readonly MemoryNode[],
    timeoutMs: number,
  ): Promise<ControlReceipt> {
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

  /** Ends what a closed node has to do with records: it confirms nothing more, and what it sent is answered as known. */
  forget(node: MemoryNode): void {
    for (const [receipt, sender] of this.pending) {
      receipt.settle(node.id, false);
      if (sender === node) receipt.finish();
    }
  }
}
