import { trimOldest } from '../../core/async/oldest.js';
import type { Clock } from '../../core/ports/clock.js';
import type {
  AbuseRecord,
  BanRecord,
  ControlMessage,
  ControlReceipt,
  RestrictRecord,
} from '../../core/ports/control.js';
import { MAX_RESTRICTIONS, restrictionKey } from '../../core/ports/moderation.js';
import { actOnAbuse, abuseKey } from '../common/abuse.js';
import { applyControl, PendingReceipt } from '../common/receipt.js';
import type { MemoryDispatcher } from './dispatcher.js';
import type { MemoryNode } from './node.js';

const MIN_TRIM = 64;
/** Bans for abuse that are kept for nodes that start later: clients cause them. */
const MAX_ABUSE_BANS = 10_000;
/** Part of the restrictions that is left where there are too many, so that not every new one costs a look at all. */
const KEPT_PART = 63 / 64;

interface KeptBan<R> {
  readonly record: R;
  /** On the monotonic clock; `Infinity` without end. */
  readonly endsAt: number;
}

/** Carries control records to every node, in one order (G11). */
export class MemoryControl {
  /** Receipts that wait for confirmations, with the node that sent the record. */
  private readonly pending = new Map<PendingReceipt, MemoryNode>();
  /** Bans that hold, for nodes that start later; those with an end are dropped after it. */
  private readonly bans = new Map<string, KeptBan<BanRecord>>();
  /** Restrictions that hold, by {@link restrictionKey}. */
  private readonly restrictions = new Map<string, KeptBan<RestrictRecord>>();
  /** Bans for abuse, by whom they concern, in order of age. */
  private readonly abuse = new Map<string, KeptBan<AbuseRecord>>();
  /** Number of bans at which the ended ones are dropped; doubles, so that dropping stays O(1) per ban. */
  private trimAt = MIN_TRIM;

  constructor(
    private readonly clock: Clock,
    private readonly dispatcher: MemoryDispatcher,
    private readonly maxRestrictions = MAX_RESTRICTIONS,
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
    const left = <R extends BanRecord | RestrictRecord | AbuseRecord>({ record, endsAt }: KeptBan<R>): R =>
      endsAt === Infinity ? record : { ...record, forMs: endsAt - now };
    // Those of administrators first: one for abuse only extends them.
    const kept = [
      ...[...this.bans.values()].map(left),
      ...[...this.restrictions.values()].map(left),
      ...[...this.abuse.values()].map(left),
    ];
    await Promise.all(kept.map(async (record) => node.listener.onControl(record)));
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
    for (const kept of [this.bans, this.restrictions, this.abuse])
      for (const [whom, { endsAt }] of kept) if (endsAt <= now) kept.delete(whom);
  }

  private keep(message: ControlMessage): void {
    const now = this.clock.monotonic();
    if (message.kind === 'abuse') return this.keepAbuse(message, now + message.forMs);
    // An administrator has the last word.
    const ended = actOnAbuse(message);
    if (ended !== undefined) this.abuse.delete(ended);
    if (message.kind === 'restrict' || message.kind === 'lift') {
      const key = restrictionKey(message);
      this.restrictions.delete(key);
      if (message.kind === 'restrict' && (message.forMs ?? Infinity) > 0)
        this.keepRestriction(key, { record: message, endsAt: now + (message.forMs ?? Infinity) });
      return;
    }
    if (message.kind !== 'ban' && message.kind !== 'unban') return;
    if (message.kind === 'unban') {
      this.bans.delete(message.user);
      return;
    }
    this.bans.set(message.user, { record: message, endsAt: now + (message.forMs ?? Infinity) });
    this.trimIfMany();
  }

  private keepRestriction(key: string, kept: KeptBan<RestrictRecord>): void {
    this.restrictions.set(key, kept);
    this.trimIfMany();
    if (this.restrictions.size <= this.maxRestrictions) return;
    this.trim();
    // As nodes do: those that end first.
    const inOrder = [...this.restrictions].sort(([, a], [, b]) =>
      a.endsAt < b.endsAt ? -1 : a.endsAt > b.endsAt ? 1 : 0,
    );
    const most = Math.floor(this.maxRestrictions * KEPT_PART);
    for (const [oldest] of inOrder) {
      if (this.restrictions.size <= most) break;
      this.restrictions.delete(oldest);
    }
  }

  private trimIfMany(): void {
    if (this.bans.size + this.restrictions.size < this.trimAt) return;
    this.trim();
    this.trimAt = Math.max(MIN_TRIM, 2 * (this.bans.size + this.restrictions.size));
  }

  private keepAbuse(record: AbuseRecord, endsAt: number): void {
    const key = abuseKey(record.of, record.id);
    if ((this.abuse.get(key)?.endsAt ?? 0) >= endsAt) return;
    this.abuse.delete(key);
    this.abuse.set(key, { record, endsAt });
    trimOldest(this.abuse, MAX_ABUSE_BANS);
  }
}
