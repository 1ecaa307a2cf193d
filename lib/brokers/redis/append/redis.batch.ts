import type { LogPolicy } from '../../../core/ports/broker.js';
import type { RedisArgument } from '../connection/redis.commands.js';
import type { RedisKeys } from '../redis.keys.js';
import { fail, type PendingAppend } from './redis.pending.js';

/** How long the head of a probe's log lives: every node has one of its own, and a node never comes back. */
const BRIEF_HEAD_MS = 60_000;

/** Appends that travel in one script call. */
export class AppendBatch {
  readonly keys: readonly string[];
  readonly args: readonly RedisArgument[];
  readonly bytes: number;
  /** Index of each item's log among the logs of the call. */
  private readonly logs: readonly number[];

  constructor(
    readonly items: readonly PendingAppend[],
    keys: RedisKeys,
    token: string,
    headMs: number,
    touch: boolean,
  ) {
    const channels = new Table<string>();
    const policies = new Table<string>();
    const ids = new Table<string>();
    const items_: RedisArgument[] = [];
    const logs: number[] = [];
    let bytes = 0;
    for (const { request, body, bytes: size } of items) {
      const { channel, producer, policy, event, after, fingerprint } = request;
      const log = channels.place(channel);
      const id = policy.dedupeMs > 0 ? ids.place(keys.id(channel, producer, event.id)) : 0;
      const before = after === undefined ? 0 : ids.place(keys.id(channel, producer, after));
      items_.push(log, policies.place(policyText(policy, channel, headMs)), id, before, fingerprint, body);
      logs.push(log);
      bytes += size;
    }
    this.logs = logs;
    this.bytes = bytes;
    this.keys = [
      ...channels.items.flatMap((channel) => [keys.head(channel), keys.stream(channel), keys.topic(channel)]),
      ...ids.items,
    ];
    this.args = [
      token,
      channels.items.length,
      policies.items.length,
      items.length,
      touch ? 1 : 0,
      ...policies.items.flatMap((policy) => policy.split(' ')),
      ...items_,
    ];
  }

  settle(reply: unknown): void {
    const answers = reply as readonly (number | string)[];
    this.items.forEach(({ call, index }, item) => {
      const answer = answers[item];
      if (typeof answer === 'number') {
        const epoch = String(answers[this.items.length + (this.logs[item] ?? 1) - 1]);
        call.settle(index, { ok: true, position: { epoch, seq: answer }, duplicate: false });
      } else if (answer === 'c') {
        call.settle(index, { ok: false, code: 'conflict' });
      } else if (answer === 'o') {
        call.settle(index, { ok: false, code: 'out_of_order' });
      } else {
        const [seq, epoch = ''] = String(answer).split(' ');
        call.settle(index, { ok: true, position: { epoch, seq: Number(seq) }, duplicate: true });
      }
    });
  }

  /** Who was refused for what he sent stays refused; nobody else is told that he succeeded. */
  settleUnproven(reply: unknown): void {
    const answers = reply as readonly (number | string)[];
    this.items.forEach((item, index) => {
      const answer = answers[index];
      if (answer === 'c') fail(item, 'conflict');
      else if (answer === 'o') fail(item, 'out_of_order');
      else fail(item, 'timeout');
    });
  }
}

/** Numbers distinct values from 1, in the order in which they came. */
class Table<T> {
  readonly items: T[] = [];
  private readonly places = new Map<T, number>();

  place(item: T): number {
    let place = this.places.get(item);
    if (place === undefined) {
      place = this.items.push(item);
      this.places.set(item, place);
    }
    return place;
  }
}

function policyText({ retain, size, ttlMs, dedupeMs }: LogPolicy, channel: string, headMs: number): string {
  const kept = retain && size > 0;
  // Redis takes whole milliseconds, and no age beyond what a date can be.
  const ms = (value: number) => Math.round(Math.min(Math.max(value, 1), Number.MAX_SAFE_INTEGER / 4096));
  const head = channel.startsWith('$rt.probe.') ? BRIEF_HEAD_MS : headMs + (kept ? ms(ttlMs) : 0);
  return `${kept ? 1 : 0} ${Math.floor(size)} ${ms(ttlMs)} ${dedupeMs > 0 ? ms(dedupeMs) : 0} ${ms(head)}`;
}
