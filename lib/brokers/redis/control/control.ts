import { RetryQueue } from '../../../core/async/retry-queue.js';
import type { BrokerListener } from '../../../core/ports/broker.js';
import type {
  AbuseRecord,
  BanRecord,
  ControlMessage,
  ControlReceipt,
  RestrictRecord,
} from '../../../core/ports/control.js';
import {
  ownerOf,
  RESTRICTION_ROOM,
  restrictionKey,
  type Restriction,
} from '../../../core/ports/moderation.js';
import { isPromise } from '../../../core/ports/maybe-promise.js';
import type { Position } from '../../../protocol/position.js';
import { abuseKey, actOnAbuse } from '../../common/abuse.js';
import { guarded, type ChannelListener } from '../../common/listeners.js';
import { restrictionOf } from '../../common/restriction-of.js';
import { applyControl, PendingReceipt } from '../../common/receipt.js';
import type { RedisCommands } from '../connection/commands.js';
import { unavailable } from '../errors.js';
import { CONTROL_CHANNEL, type RedisKeys } from '../keys.js';
import type { RedisLog } from '../log.js';
import { ANSWERS, CONFIRM, CONTROL, FORGET, TIME } from '../scripts/control.js';
import type { RedisSettings } from '../settings.js';
import { encodeBody, encodeRecord } from '../wire.js';
import { ControlLog } from './control-log.js';
import { KnownNodes, type NodesView } from './known-nodes.js';

const KEPT_RECORDS = 10_000;
const DAY_MS = 24 * 60 * 60_000;
/** How long answers can be looked up. */
const ANSWERS_MS = 60_000;
/** Bans that are read, or removed, in one command. */
const BANS_PAGE = 500;

/** A stored record. */
interface ControlPayload {
  /** Id of the record, by which it is confirmed. */
  readonly r: string;
  /** Id of the node that sent it. */
  readonly s: string;
  readonly m: ControlMessage;
}

/** A record of another version that has none of this can neither be applied nor confirmed. */
function isControlPayload(payload: unknown): payload is ControlPayload {
  const { r, s, m } = (payload ?? {}) as Partial<ControlPayload>;
  return typeof r === 'string' && typeof s === 'string' && typeof m === 'object';
}

/** How long a record is in force, in milliseconds; `undefined` without end. */
function lifeOf(message: ControlMessage): number | undefined {
  return message.kind === 'ban' || message.kind === 'restrict' || message.kind === 'abuse'
    ? message.forMs
    : undefined;
}

/** What a record does to what is kept for nodes that start later. */
interface KeptChange {
  /** As {@link restrictionKey}. */
  readonly name: string;
  /** As JSON; `''` to remove it. */
  readonly value: string;
}

function changeOf(message: ControlMessage): KeptChange | undefined {
  switch (message.kind) {
    case 'ban':
    case 'restrict':
      return { name: nameOf(message), value: JSON.stringify(message) };
    case 'unban':
    case 'lift':
      return { name: nameOf(message), value: '' };
    default:
      return undefined;
  }
}

function nameOf(record: Parameters<typeof restrictionOf>[0]): string {
  return restrictionKey(restrictionOf(record));
}

/** Carries control records to every node, in one order, and collects their confirmations (G11). */
export class RedisControl {
  readonly feed: ChannelListener = { onEvents: (_channel, events) => this.follower.onEvents(events) };
  private node = '';
  private listener: BrokerListener | undefined;
  private readonly receipts = new Map<string, PendingReceipt>();
  private readonly follower: ControlLog;
  private readonly nodes: KnownNodes;
  /** When the server that answers now was certainly the master, by the monotonic clock. */
  private provenAt = -Infinity;
  /** Confirmations that could not be stored. */
  private readonly retries: RetryQueue;
  private readonly partition: number;
  private closed = false;
  /** Calls of `onControlLost` whose promise has not settled. */
  private losses = 0;
  /** Settles when the record that was sent last is stored, or could not be. */
  private stored: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly log: RedisLog,
    private readonly settings: RedisSettings,
  ) {
    this.partition = keys.partitionOf(CONTROL_CHANNEL);
    this.retries = new RetryQueue(settings.clock);
    this.nodes = new KnownNodes(settings.clock, settings);
    this.follower = new ControlLog(log, settings.clock, {
      onRecord: ({ payload, expiresAt }) => {
        if (isControlPayload(payload)) this.apply(payload, expiresAt);
      },
      onCurrent: (provenAt) => this.reportCurrent(provenAt),
      onLost: (isWhole) => this.reportLost(isWhole),
    });
  }

  /**
   * To be called when the topic is subscribed: notifies the listener of the bans that hold, then of every later record.
   *
   * @returns The last record of which the listener is not notified.
   */
  async start(node: string, listener: BrokerListener): Promise<Position> {
    this.node = node;
    this.listener = listener;
    const { provenAt } = this;
    const tip = await this.log.tip(CONTROL_CHANNEL);
    await this.applyTables();
    await this.applyAbuseBans(tip);
    // Records up to the tip concern nobody on this node, except for the bans, which it has now.
    this.reportCurrent(provenAt);
    // Without a proof: from now on the view can be late, and it is.
    if (provenAt === -Infinity) guarded(() => listener.onControlCurrent(0));
    this.follower.start(tip);
    return tip;
  }

  /** What a heartbeat said: where the log of control records ends, when that was certainly so, and which nodes live. */
  onBeat(tip: Position, { provenAt, nodes }: Omit<NodesView, 'epoch'>): void {
    this.provenAt = provenAt;
    this.nodes.note({ epoch: tip.epoch, nodes, provenAt });
    this.follower.compare(tip, provenAt);
  }

  async control(message: ControlMessage): Promise<ControlReceipt> {
    const { clock, controlMaxAgeMs, controlTimeoutMs, entropy, epochs, headMs, nodeTtlMs } = this.settings;
    const { keys } = this;
    const id = entropy.id();
    const receipt = new PendingReceipt(clock, controlTimeoutMs, () => {
      void this.lookUp(id).finally(() => receipt.finish());
    });
    this.receipts.set(id, receipt);
    try {
      const { head, stream, topic } = keys.of(CONTROL_CHANNEL);
      const payload: ControlPayload = { r: id, s: this.node, m: message };
      const { name = '', value = '' } = changeOf(message) ?? {};
      const owner = ownerOf(message as Pick<Restriction, 'by'>);
      const room = RESTRICTION_ROOM[owner];
      const forMs = lifeOf(message);
      // The life of the record is that of the ban: so its reader knows what is left of it.
      const record = encodeRecord([encodeBody({ id, event: message.kind, payload, ttl: forMs })]);
      const [epoch, nodes] = (await this.inOrder(() =>
        this.commands.run(
          CONTROL,
          this.partition,
          [head, stream, topic, keys.nodes, ...keys.keptOf(owner)],
          [
            epochs.next(),
            headMs,
            record,
            KEPT_RECORDS,
            DAY_MS,
            name,
            value,
            forMs ?? '',
            room.count,
            room.bytes,
            owner,
            // A node may write for as long as its last proof holds.
            Math.max(controlMaxAgeMs - nodeTtlMs, 0),
          ],
        ),
      )) as readonly [string, readonly string[]];
      receipt.expect(this.nodes.expected(epoch, nodes));
      return await receipt.result;
    } finally {
      receipt.finish();
      this.receipts.delete(id);
    }
  }

  /** The answer of a node to a record of this one: `[id of the record, node, applied]`. */
  onAnswer(text: string): void {
    if (!text.startsWith('1a')) return;
    const [id, node, applied] = JSON.parse(text.slice(2)) as readonly [string, string, boolean];
    this.receipts.get(id)?.settle(node, applied);
  }

  /** To be called when answers may have been lost, as this node was not subscribed to them: looks up those that it waits for. */
  onAnswersLost(): void {
    for (const id of this.receipts.keys()) void this.lookUp(id);
  }

  /** Resolves what waits for confirmations, with those that have come. */
  close(): void {
    this.closed = true;
    this.follower.close();
    this.retries.close();
    for (const receipt of this.receipts.values()) receipt.finish();
  }

  /**
   * Stores the records of a node in the order in which they were sent. In a Cluster a call that is redirected, or that waits
   * for the first connection to its server, could be overtaken by the next.
   */
  private inOrder<T>(store: () => Promise<T>): Promise<T> {
    if (!this.commands.clustered) return store();
    const stored = this.stored.then(store);
    this.stored = stored.catch(() => undefined);
    return stored;
  }

  private apply({ r, s, m }: ControlPayload, expiresAt: number): void {
    if (this.closed || this.listener === undefined) return;
    const isLimited = lifeOf(m) !== undefined && expiresAt !== Infinity;
    const message = isLimited ? { ...m, forMs: expiresAt - this.settings.clock.monotonic() } : m;
    applyControl(this.listener, message, (applied) => this.confirm(r, s, applied));
  }

  private confirm(id: string, sender: string, applied: boolean): void {
    if (this.closed) return;
    if (sender === this.node) {
      this.receipts.get(id)?.settle(this.node, applied);
      return;
    }
    const { clock, controlTimeoutMs } = this.settings;
    const until = clock.monotonic() + controlTimeoutMs;
    const store = (): void => {
      this.commands
        .run(
          CONFIRM,
          this.partition,
          [this.keys.answers(id), this.keys.answersTo(sender)],
          [this.node, applied ? 1 : 0, ANSWERS_MS, `1a${JSON.stringify([id, this.node, applied])}`],
        )
        .catch(() => {
          // Later the sender no longer waits: it has reported this node as missing.
          if (!this.closed && clock.monotonic() < until) this.retries.later(store);
        });
    };
    store();
  }

  /** Settles what is stored of the answers to a record: the message of an answer may have been lost. Never rejects. */
  private async lookUp(id: string): Promise<void> {
    try {
      const answers = (await this.commands.run(
        ANSWERS,
        this.partition,
        [this.keys.answers(id)],
        [],
      )) as string[];
      for (let at = 0; at < answers.length; at += 2)
        this.receipts.get(id)?.settle(answers[at] ?? '', answers[at + 1] === '1');
    } catch {
      // The receipt then says what is known without them.
    }
  }

  private reportCurrent(provenAt: number): void {
    const { clock, controlMaxAgeMs } = this.settings;
    const forMs = controlMaxAgeMs - (clock.monotonic() - provenAt);
    if (forMs > 0 && this.losses === 0 && !this.closed) guarded(() => this.listener?.onControlCurrent(forMs));
  }

  /** Later records do not wait for what the node does about the loss; the next proof that its view is current does. */
  private async reportLost(isWhole: boolean): Promise<void> {
    const records = await this.applyTables();
    // Of a log that was lost the tables may be lost as well: nobody is let in again for that.
    if (isWhole) guarded(() => this.listener?.onRestrictions?.(records.map(restrictionOf)));
    const done = this.listener?.onControlLost();
    if (!isPromise(done)) return;
    this.losses++;
    const settled = (): void => void this.losses--;
    done.then(settled, settled);
  }

  private async applyTables(): Promise<readonly (BanRecord | RestrictRecord)[]> {
    if (this.closed) throw unavailable('The broker was closed');
    const { bans, restrictions } = this.keys;
    const records = [...(await this.load(bans)), ...(await this.load(restrictions))];
    // One that a newer version wrote, and this one does not understand, must not keep the node from starting.
    await Promise.all(records.map((record) => this.hand(record)));
    return records;
  }

  private async hand(record: ControlMessage): Promise<void> {
    try {
      await this.listener?.onControl(record);
    } catch (error) {
      this.listener?.onWarning?.(`A stored ${record.kind} could not be applied: ${String(error)}`);
    }
  }

  /**
   * Bans for abuse that hold. Clients cause them, so they are in no table that could grow, only in the log of records, as far as
   * that goes back.
   */
  private async applyAbuseBans({ epoch, seq: until }: Position): Promise<void> {
    const found = new Map<string, AbuseRecord>();
    const now = this.settings.clock.monotonic();
    for (let from = 1; from <= until;) {
      const range = { channel: CONTROL_CHANNEL, epoch, from, until, limit: BANS_PAGE };
      const { events } = await this.log.read(range);
      for (const { payload, expiresAt } of events)
        if (isControlPayload(payload)) collectAbuse(found, payload.m, expiresAt - now);
      from = (events.at(-1)?.seq ?? until) + 1;
    }
    await Promise.all([...found.values()].map(async (ban) => this.listener?.onControl(ban)));
  }

  /** The records of a table that hold by the server's time. Of those that have ended some are removed. */
  private async load(table: string): Promise<readonly (BanRecord | RestrictRecord)[]> {
    const { commands, keys, partition } = this;
    const records = new Map<string, BanRecord | RestrictRecord>();
    const ended: string[] = [];
    const [now] = (await commands.run(TIME, partition, [table], [])) as [number];
    let cursor = '0';
    do {
      const args = [table, cursor, 'COUNT', BANS_PAGE];
      const [next, found] = (await commands.command(partition, 'hscan', args)) as [string, string[]];
      for (let at = 0; at < found.length; at += 2) {
        const field = found[at] ?? '';
        const [, end, text = 'null'] = /^(\d*) (.*)$/s.exec(found[at + 1] ?? '') ?? [];
        const record = JSON.parse(text) as BanRecord | RestrictRecord;
        const forMs = end === '' ? undefined : Number(end) - now;
        if (forMs === undefined) records.set(field, record);
        else if (forMs > 0) records.set(field, { ...record, forMs });
        else ended.push(table === keys.bans ? nameOf({ kind: 'unban', user: field }) : field);
      }
      cursor = next;
    } while (cursor !== '0');
    // Of an older version there are some that nothing else removes. A server that refuses it keeps no node from what holds.
    if (ended.length > 0)
      await commands
        .run(FORGET, partition, keys.keptOf('people'), ended.slice(0, BANS_PAGE))
        .catch(() => undefined);
    return [...records.values()];
  }
}

/** Takes a record into those of the bans for abuse that hold. An administrator's record about the user takes the place of one. */
function collectAbuse(bans: Map<string, AbuseRecord>, message: ControlMessage, leftMs: number): void {
  const acted = actOnAbuse(message);
  if (acted !== undefined) bans.delete(acted);
  if (message.kind !== 'abuse' || leftMs <= 0) return;
  const key = abuseKey(message.of, message.id);
  if ((bans.get(key)?.forMs ?? 0) >= leftMs) return;
  bans.set(key, { ...message, forMs: leftMs });
}
