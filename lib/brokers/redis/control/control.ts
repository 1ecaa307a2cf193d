import type { ChannelEvent } from '../../../core/ports/channel-event.js';
import type { BrokerBus, BrokerListener } from '../../../core/ports/broker.js';
import type { ControlMessage, ControlReceipt } from '../../../core/ports/control.js';
import { isPromise } from '../../../core/ports/maybe-promise.js';
import type { Position } from '../../../protocol/position.js';
import type { RedisCommands } from '../connection/commands.js';
import { unavailable } from '../errors.js';
import { guarded } from '../feed.js';
import { CONTROL_CHANNEL, type RedisKeys } from '../keys.js';
import type { RedisLog } from '../log.js';
import type { RedisSettings } from '../settings.js';
import { encodeEvent, encodeRecord } from '../wire.js';
import { CONFIRM, CONTROL } from '../scripts/index.js';
import { loadBans } from './bans.js';
import { ControlLog } from './control-log.js';
import { RedisReceipt } from './receipt.js';

const KEPT_RECORDS = 10_000;
const DAY_MS = 24 * 60 * 60_000;
/** How long answers can be looked up. */
const ANSWERS_MS = 60_000;

/** What travels: the record, who asked, and a name for the question. */
interface ControlPayload {
  readonly r: string;
  readonly s: string;
  readonly m: ControlMessage;
}

/** Of a version that asks otherwise there is nobody to answer, and nothing that this one could apply. */
function isControlPayload(payload: unknown): payload is ControlPayload {
  const { r, s, m } = (payload ?? {}) as Partial<ControlPayload>;
  return typeof r === 'string' && typeof s === 'string' && typeof m === 'object';
}

/** Carries control records to every node, in one order, and collects their confirmations (G11). */
export class RedisControl implements BrokerBus {
  readonly listener = {
    onEvents: (_channel: string, events: readonly ChannelEvent[]) => this.onEvents(events),
    onSignal: () => undefined,
    onPresence: () => undefined,
  };
  private node = '';
  private target: BrokerListener | undefined;
  private readonly receipts = new Map<string, RedisReceipt>();
  private readonly follower: ControlLog;
  private early: ChannelEvent[] | undefined = [];
  private closed = false;
  /** Losses that the node is making up for. */
  private losses = 0;
  /** The last record that was sent, stored or not. */
  private stored: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly log: RedisLog,
    private readonly settings: RedisSettings,
  ) {
    this.follower = new ControlLog(log, {
      onRecord: ({ payload }) => {
        if (isControlPayload(payload)) this.apply(payload);
      },
      onCurrent: (askedAt) => this.tellCurrent(askedAt),
      monotonic: () => settings.clock.monotonic(),
      onLost: () => this.makeUp(),
      schedule: (ms, task) => {
        settings.clock.schedule(ms, () => {
          if (!this.closed) task();
        });
      },
    });
  }

  private get partition(): number {
    return this.keys.partitionOf(CONTROL_CHANNEL);
  }

  /**
   * To be called when the topic is subscribed: tells the bans that hold, then every record from now on.
   *
   * @returns The last record that is not told.
   */
  async start(node: string, target: BrokerListener): Promise<Position> {
    this.node = node;
    this.target = target;
    const askedAt = this.settings.clock.monotonic();
    const tip = await this.log.tip(CONTROL_CHANNEL);
    await this.tellBans();
    const early = this.early ?? [];
    this.early = undefined;
    // What is behind the tip has nobody here to concern, but for the bans, which were told.
    this.tellCurrent(askedAt);
    this.follower.start(tip, early);
    return tip;
  }

  /** Where the log of records ended, at the monotonic time `askedAt` or later. */
  onTip(tip: Position, askedAt: number): void {
    if (this.early === undefined) this.follower.compare(tip, askedAt);
  }

  async control(message: ControlMessage): Promise<ControlReceipt> {
    const { clock, controlTimeoutMs, entropy, epochs, headMs } = this.settings;
    const id = entropy.id();
    const receipt = new RedisReceipt(clock, controlTimeoutMs, () => void this.lookUp(id));
    this.receipts.set(id, receipt);
    try {
      const payload: ControlPayload = { r: id, s: this.node, m: message };
      const ban = message.kind === 'ban' || message.kind === 'unban' ? message.user : '';
      const nodes = await this.inOrder(() =>
        this.commands.run(
          CONTROL,
          this.partition,
          [
            this.keys.head(CONTROL_CHANNEL),
            this.keys.stream(CONTROL_CHANNEL),
            this.keys.topic(CONTROL_CHANNEL),
            this.keys.bans,
            this.keys.nodes,
          ],
          [
            epochs.next(),
            headMs,
            encodeRecord([encodeEvent({ id, event: message.kind, payload })]),
            KEPT_RECORDS,
            DAY_MS,
            ban,
            message.kind === 'ban' ? JSON.stringify(message) : '',
          ],
        ),
      );
      receipt.expect(nodes as readonly string[]);
      return await receipt.result;
    } finally {
      receipt.finish();
      this.receipts.delete(id);
    }
  }

  /** An answer of a node: `[question, node, applied]`. */
  onAnswer(text: string): void {
    if (!text.startsWith('1a')) return;
    const [id, node, applied] = JSON.parse(text.slice(2)) as readonly [string, string, boolean];
    this.receipts.get(id)?.settle(node, applied);
  }

  /** What was asked is answered with what is known. */
  close(): void {
    this.closed = true;
    this.follower.close();
    for (const receipt of this.receipts.values()) receipt.finish();
  }

  /**
   * Records of a node are stored in the order in which they were sent. In a Cluster a call that is redirected, or that waits
   * for the first connection to its server, could be overtaken by the next.
   */
  private inOrder<T>(store: () => Promise<T>): Promise<T> {
    if (!this.commands.clustered) return store();
    const stored = this.stored.then(store);
    this.stored = stored.catch(() => undefined);
    return stored;
  }

  private onEvents(events: readonly ChannelEvent[]): void {
    if (this.early !== undefined) this.early.push(...events);
    else this.follower.onEvents(events);
  }

  /** The next record does not wait for this one's confirmation: a slow revoke must not hold up a ban. */
  private apply({ r, s, m }: ControlPayload): void {
    if (this.closed) return;
    try {
      const result = this.target?.onControl(m);
      if (!isPromise(result)) {
        this.confirm(r, s, true);
        return;
      }
      result.then(
        () => this.confirm(r, s, true),
        () => this.confirm(r, s, false),
      );
    } catch {
      this.confirm(r, s, false);
    }
  }

  private confirm(id: string, asker: string, applied: boolean): void {
    if (this.closed) return;
    if (asker === this.node) {
      this.receipts.get(id)?.settle(this.node, applied);
      return;
    }
    this.commands
      .run(
        CONFIRM,
        this.partition,
        [this.keys.answers(id), this.keys.answersTo(asker)],
        [this.node, applied ? 1 : 0, ANSWERS_MS, `1a${JSON.stringify([id, this.node, applied])}`],
      )
      // Who asked counts this node as missing, which is what it is.
      .catch(() => undefined);
  }

  /** Time is up: an answer may have been given and its message lost. */
  private async lookUp(id: string): Promise<void> {
    const receipt = this.receipts.get(id);
    try {
      const answers = (await this.commands.command(this.partition, 'hgetall', [
        this.keys.answers(id),
      ])) as readonly string[];
      for (let at = 0; at < answers.length; at += 2)
        receipt?.settle(answers[at] ?? '', answers[at + 1] === '1');
    } catch {
      // Then what came counts.
    }
    receipt?.finish();
  }

  private tellCurrent(askedAt: number): void {
    const { clock, controlMaxAgeMs } = this.settings;
    const forMs = controlMaxAgeMs - (clock.monotonic() - askedAt);
    if (forMs > 0 && this.losses === 0 && !this.closed) guarded(() => this.target?.onControlCurrent(forMs));
  }

  /** Later records do not wait for what the node does about those that are lost; the next proof does. */
  private async makeUp(): Promise<void> {
    await this.tellBans();
    const done = this.target?.onControlLost();
    if (!isPromise(done)) return;
    this.losses++;
    const settled = (): void => void this.losses--;
    done.then(settled, settled);
  }

  private async tellBans(): Promise<void> {
    if (this.closed) throw unavailable('The broker was closed');
    const bans = await loadBans(this.commands, this.keys);
    await Promise.all(bans.map(async (ban) => this.target?.onControl(ban)));
  }
}
