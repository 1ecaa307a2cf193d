import { trimOldest } from '../../core/async/oldest.js';
import type { Clock } from '../../core/ports/clock.js';
import type { AbuseRecord, ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { actOnAbuse, abuseKey } from '../common/abuse.js';
import { applyControl, PendingReceipt } from '../common/receipt.js';
import type { MemoryDispatcher } from './dispatcher.js';
import { KeptRestrictions } from './kept-restrictions.js';
import type { MemoryNode } from './node.js';

/** Bans for abuse that are kept for nodes that start later: clients cause them. */
const MAX_ABUSE_BANS = 10_000;

interface AbuseBan {
  readonly record: AbuseRecord;
  /** On the monotonic clock. */
  readonly endsAt: number;
}

/** Carries control records to every node, in one order (G11). */
export class MemoryControl {
  /** Receipts that wait for confirmations, with the node that sent the record. */
  private readonly pending = new Map<PendingReceipt, MemoryNode>();
  /** Bans for abuse, by whom they concern, in order of age. */
  private readonly abuse = new Map<string, AbuseBan>();

  constructor(
    private readonly clock: Clock,
    private readonly dispatcher: MemoryDispatcher,
    private readonly restrictions = new KeptRestrictions(),
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
    const now = this.clock.monotonic();
    for (const [whom, { endsAt }] of this.abuse) if (endsAt <= now) this.abuse.delete(whom);
    const abuse = [...this.abuse.values()].map(({ record, endsAt }) => ({ ...record, forMs: endsAt - now }));
    // Those of administrators first: one for abuse only extends them.
    const kept = [...this.restrictions.inForce(now), ...abuse];
    await Promise.all(kept.map(async (record) => node.listener.onControl(record)));
  }

  /** Ends what a closed node has to do with records: it confirms nothing more, and what it sent is answered as known. */
  forget(node: MemoryNode): void {
    for (const [receipt, sender] of this.pending) {
      receipt.settle(node.id, false);
      if (sender === node) receipt.finish();
    }
  }

  private keep(message: ControlMessage): void {
    const now = this.clock.monotonic();
    if (message.kind === 'abuse') return this.keepAbuse(message, now + message.forMs);
    // An administrator has the last word.
    const ended = actOnAbuse(message);
    if (ended !== undefined) this.abuse.delete(ended);
    if (message.kind === 'ban' || message.kind === 'restrict') this.restrictions.put(message, now);
    if (message.kind === 'unban' || message.kind === 'lift') this.restrictions.lift(message);
  }

  private keepAbuse(record: AbuseRecord, endsAt: number): void {
    const key = abuseKey(record.of, record.id);
    if ((this.abuse.get(key)?.endsAt ?? 0) >= endsAt) return;
    this.abuse.delete(key);
    this.abuse.set(key, { record, endsAt });
    trimOldest(this.abuse, MAX_ABUSE_BANS);
  }
}
