import type { LogPolicy } from '../../../core/ports/broker.js';
import { idField, PROBE_CHANNELS, type LogKeys } from '../keys.js';
import { encodeRecord } from '../wire.js';
import type { AppendAnswer } from './answer.js';
import type { PendingAppend } from './pending.js';

/** How long the head of a probe's log lives: every node has one of its own, and a node never comes back. */
const BRIEF_HEAD_MS = 60_000;
/** Most bytes of one record: whoever reads one event of it reads all of it. */
const MAX_RECORD_BYTES = 64 * 1024;

/** A run of appends to one log under one policy: one record of the log, one message, one part of a script call. */
export class AppendSection {
  private readonly items: PendingAppend[] = [];
  private bytes = 0;
  private dedupeMs = 0;
  private withIds = 0;
  private withAfter = 0;

  /** @param name How the script calls the section; in no other call is one called so. */
  constructor(
    private readonly name: string,
    private readonly channel: string,
    private readonly keys: LogKeys,
    private readonly policy: LogPolicy,
    private readonly headMs: number,
  ) {}

  takes({ request: { policy }, bytes }: PendingAppend): boolean {
    if (this.bytes + bytes > MAX_RECORD_BYTES && this.items.length > 0) return false;
    if (policy.dedupeMs > 0 && this.dedupeMs > 0 && policy.dedupeMs !== this.dedupeMs) return false;
    const { retain, size, ttlMs } = this.policy;
    return policy.retain === retain && policy.size === size && policy.ttlMs === ttlMs;
  }

  add(item: PendingAppend): void {
    const { policy, after } = item.request;
    this.items.push(item);
    this.bytes += item.bytes;
    if (policy.dedupeMs > 0) {
      this.dedupeMs = policy.dedupeMs;
      this.withIds += 1;
    }
    if (after !== undefined) this.withAfter += 1;
  }

  /** Adds its part to the keys and arguments of the script. */
  write(keys: string[], args: string[]): void {
    const { items } = this;
    const { head, stream, topic, ids: hashes } = this.keys;
    keys.push(head, stream, topic, ...hashes);
    const ids: string[] = [];
    const details: string[] = [];
    const form = this.writeDetails(ids, details);
    const record = encodeRecord(items.map(({ body }) => body));
    args.push(...this.limits(), String(items.length), String(ids.length), form, record, ...ids, ...details);
  }

  /**
   * Hands out what the script answered.
   *
   * @param reply `[epoch, seq of the first, …answers]`, without answers when every event was appended.
   */
  settle(
    [epoch, first, ...answers]: readonly AppendAnswer[],
    settle: (item: PendingAppend, epoch: string, answer: AppendAnswer) => void,
  ): void {
    this.items.forEach((item, index) => settle(item, String(epoch), answers[index] ?? Number(first) + index));
  }

  private writeDetails(ids: string[], details: string[]): 'p' | 'i' | 'm' {
    const { items } = this;
    if (this.withAfter === 0 && this.withIds === 0) return 'p';
    if (this.withAfter === 0 && this.withIds === items.length) {
      for (const { request } of items) {
        details.push(`${this.name}-${ids.length} ${request.fingerprint}`);
        ids.push(idField(request.producer, request.event.id));
      }
      if (new Set(ids).size === ids.length) return 'i';
      ids.length = details.length = 0;
    }
    const place = (producer: string, id: string) => String(ids.push(idField(producer, id)));
    for (const { request } of items) {
      const { producer, event, after, policy, fingerprint } = request;
      details.push(
        policy.dedupeMs > 0 ? place(producer, event.id) : '0',
        after === undefined ? '0' : place(producer, after),
        fingerprint,
      );
    }
    return 'm';
  }

  private limits(): readonly string[] {
    const { retain, size, ttlMs } = this.policy;
    const kept = retain && size > 0;
    const ttl = milliseconds(ttlMs);
    const head = this.channel.startsWith(PROBE_CHANNELS) ? BRIEF_HEAD_MS : this.headMs + (kept ? ttl : 0);
    return [
      kept ? '1' : '0',
      String(Math.floor(size)),
      String(ttl),
      String(this.dedupeMs > 0 ? milliseconds(this.dedupeMs) : 0),
      String(milliseconds(head)),
    ];
  }
}

/** Redis takes whole milliseconds, and no age beyond what a date can be. */
function milliseconds(value: number): number {
  return Math.round(Math.min(Math.max(value, 1), Number.MAX_SAFE_INTEGER / 4096));
}
