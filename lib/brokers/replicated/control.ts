import type { BrokerListener } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import { restrictionOf } from '../common/restriction-of.js';
import { applyControl, PendingReceipt } from '../common/receipt.js';
import type { Outcome } from '../machine/commands.js';
import type { Machine } from '../machine/machine.js';
import type { RecordContent } from '../machine/record.js';
import { failed, nodeOf, STATE_PARTITION, type Write } from './commander.js';
import type { Place } from './partition-writer.js';
import type { Signal } from './signals.js';

/** Confirmations that are sent once more with each sign of life: a signal may be lost. */
const MAX_RECENT = 1_000;
/** Confirmations of other nodes that are kept for a record whose place this node does not know yet. */
const MAX_EARLY = 65_536;

type Applied = Extract<Signal, { kind: 'applied' }>;

/** What control records need of their node. */
export interface ControlSettings {
  readonly clock: Clock;
  readonly controlTimeoutMs: number;
  readonly controlMaxAgeMs: number;
}

/** Control records over the log (G11): in one order on all nodes, and confirmed by each beside the log. */
export class ReplicatedControl {
  private listener: BrokerListener | undefined;
  private readonly receipts = new Map<string, PendingReceipt>();
  /** Confirmations that came before this node knew of the record's receipt. */
  private readonly early = new Map<string, Map<string, boolean>>();
  private earlyCount = 0;
  /** What this node has answered of late, and when. */
  private readonly recent = new Map<string, { readonly applied: boolean; readonly at: number }>();
  private unsent = new Set<string>();

  constructor(
    private readonly write: Write,
    private readonly settings: ControlSettings,
    private readonly confirm: (done: readonly string[], refused: readonly string[]) => void,
  ) {}

  start(listener: BrokerListener): void {
    this.listener = listener;
  }

  close(): void {
    this.listener = undefined;
    for (const receipt of this.receipts.values()) receipt.finish();
  }

  /**
   * @param leases Of the nodes that live by what was read so far; asked when the record was.
   * @throws RealtimeError `unavailable` or `timeout` when the record was not stored for sure
   */
  send(message: ControlMessage, leases: () => readonly string[]): Promise<ControlReceipt> {
    return new Promise((resolve, reject) => {
      this.write(STATE_PARTITION, { kind: 'control', message }, (outcome, place) => {
        if (typeof outcome === 'string' || place === undefined)
          return reject(failed(typeof outcome === 'string' ? outcome : 'timeout'));
        resolve(this.receiptOf(keyOf(place), leases()));
      });
    });
  }

  /** Hands the control records of a record to the node, in their order. */
  onRecord({ commands }: RecordContent, outcomes: readonly Outcome[], offset: number): void {
    const { listener } = this;
    if (listener === undefined) return;
    commands.forEach((command, index) => {
      if (!isControl(command, outcomes[index])) return;
      const key = keyOf({ offset, index });
      applyControl(listener, command.message, (applied) => this.onSettled(key, applied));
    });
  }

  /** Another node, or this one, has applied or refused records. */
  onApplied({ node, done, refused }: Applied): void {
    for (const key of done) this.settle(key, node, true);
    for (const key of refused) this.settle(key, node, false);
  }

  /** The node's own sign of life came back: all that stood before it is known. @param askedAt before it was written. */
  onProved(askedAt: number): void {
    const { clock, controlMaxAgeMs } = this.settings;
    const forMs = controlMaxAgeMs - (clock.monotonic() - askedAt);
    if (forMs > 0) this.listener?.onControlCurrent(forMs);
  }

  /** Confirms once more what was confirmed of late. */
  repeat(): void {
    const since = this.settings.clock.monotonic() - this.settings.controlTimeoutMs;
    for (const [key, { at }] of this.recent) if (at < since) this.recent.delete(key);
    this.sendAnswers([...this.recent.keys()]);
  }

  /** Hands over what is in force: for a node that starts. @param timeMs by the wall clock of the log, by which it ends. */
  async catchUp(machine: Machine, timeMs: number): Promise<void> {
    const { listener } = this;
    const kept = machine.restrictionsInForce(timeMs);
    await Promise.all(kept.map(async (message) => listener?.onControl(message)));
  }

  /** Records are lost that this node may not know. @param timeMs as of `catchUp`. */
  async onLost(machine: Machine, timeMs: number): Promise<void> {
    const { listener } = this;
    const kept = machine.restrictionsInForce(timeMs);
    listener?.onRestrictions?.(
      kept.flatMap((message) =>
        message.kind === 'ban' || message.kind === 'restrict' ? restrictionOf(message) : [],
      ),
    );
    await this.catchUp(machine, timeMs);
    await listener?.onControlLost();
  }

  private async receiptOf(key: string, leases: readonly string[]): Promise<ControlReceipt> {
    const { clock, controlTimeoutMs } = this.settings;
    const receipt: PendingReceipt = new PendingReceipt(clock, controlTimeoutMs, () => receipt.finish());
    this.receipts.set(key, receipt);
    for (const [node, applied] of this.early.get(key) ?? []) receipt.settle(node, applied);
    this.dropEarly(key);
    receipt.expect([...new Set(leases.map(nodeOf))]);
    try {
      return await receipt.result;
    } finally {
      this.receipts.delete(key);
    }
  }

  private settle(key: string, node: string, applied: boolean): void {
    const receipt = this.receipts.get(key);
    if (receipt !== undefined) return receipt.settle(node, applied);
    const answers = this.early.get(key) ?? new Map<string, boolean>();
    if (!answers.has(node)) this.earlyCount += 1;
    answers.set(node, applied);
    this.early.delete(key);
    this.early.set(key, answers);
    for (const oldest of this.early.keys()) {
      if (this.early.size <= MAX_RECENT && this.earlyCount <= MAX_EARLY) break;
      this.dropEarly(oldest);
    }
  }

  private dropEarly(key: string): void {
    this.earlyCount -= this.early.get(key)?.size ?? 0;
    this.early.delete(key);
  }

  private onSettled(key: string, applied: boolean): void {
    this.recent.set(key, { applied, at: this.settings.clock.monotonic() });
    for (const oldest of this.recent.keys()) {
      if (this.recent.size <= MAX_RECENT) break;
      this.recent.delete(oldest);
    }
    this.unsent.add(key);
    // Those of one turn travel together.
    if (this.unsent.size > 1) return;
    queueMicrotask(() => {
      const keys = [...this.unsent];
      this.unsent = new Set();
      if (this.listener !== undefined) this.sendAnswers(keys);
    });
  }

  private sendAnswers(keys: readonly string[]): void {
    if (keys.length === 0) return;
    const known = keys.filter((key) => this.recent.has(key));
    this.confirm(
      known.filter((key) => this.recent.get(key)?.applied === true),
      known.filter((key) => this.recent.get(key)?.applied === false),
    );
  }
}

function isControl(
  command: unknown,
  outcome: Outcome | undefined,
): command is { readonly message: ControlMessage } {
  const { kind } = command as { readonly kind: string };
  return kind === 'control' && outcome !== undefined && !('code' in outcome);
}

function keyOf({ offset, index }: Place): string {
  return `${offset}.${index}`;
}
