import type { AppendOutcome, AppendRequest, LogPolicy } from '../../../core/ports/broker.js';
import { commandError, refusalForClients } from '../errors.js';
import { idField, PROBE_CHANNELS, type LogKeys, type RedisKeys } from '../keys.js';
import { encodeRecord } from '../wire.js';
import type { CountedId } from './id-shares.js';

/** How long the head of a probe's log lives: every node has a log of its own, and a node never comes back. */
const PROBE_HEAD_MS = 60_000;
/** Most bytes of one record: a read of one of its events reads all of them. */
const MAX_RECORD_BYTES = 64 * 1024;
const TOO_MANY_IDS = 'Too many recent publishes of this user or client are remembered';

/**
 * What the script answers for one event: its `seq`, `seq epoch` of a duplicate, `c` (conflict), `o` (out of order), `r` (refused,
 * as its id is not known and its producer may have no further one).
 */
type AppendAnswer = string | number;

/** One append that waits for its outcome, and its place in the answer of its call. */
export interface PendingAppend {
  readonly request: AppendRequest;
  readonly body: string;
  readonly bytes: number;
  /**
   * The count of its id; or when its producer may have one more, in milliseconds: until then it is only answered as a
   * repeat of what was appended before (P15).
   */
  readonly share: CountedId | number | undefined;
  readonly call: AppendCall;
  readonly index: number;
}

/** Settles one append. Gives its share back when no id is remembered for it. */
export function settleAppend({ share, call, index }: PendingAppend, outcome: AppendOutcome): void {
  const remembers = outcome.ok ? !outcome.duplicate : outcome.code === 'timeout';
  if (!remembers && typeof share === 'object') share.giveBack();
  call.settle(index, outcome);
}

/** One call of `appendMany`; its items may travel in several batches. */
export class AppendCall {
  readonly outcomes: AppendOutcome[] = [];
  readonly result: Promise<readonly AppendOutcome[]>;
  private resolve: (outcomes: readonly AppendOutcome[]) => void = () => undefined;

  constructor(private left: number) {
    this.result = new Promise((resolve) => (this.resolve = resolve));
  }

  settle(index: number, outcome: AppendOutcome): void {
    this.outcomes[index] = outcome;
    this.left -= 1;
    if (this.left === 0) this.resolve(this.outcomes);
  }
}

/**
 * Settles appends whose call failed. Only an answer of the server proves that nothing was done (P17).
 *
 * @param begun Whether something was written before the error.
 */
export function settleFailed(items: readonly PendingAppend[], error: unknown, begun = false): void {
  const code = !begun && commandError(error).code === 'unavailable' ? 'unavailable' : 'timeout';
  const message = refusalForClients(error);
  const outcome = { ok: false, code, ...(message === undefined ? {} : { message }) } as const;
  for (const item of items) settleAppend(item, outcome);
}

/** Appends that travel in one script call. */
export class AppendBatch {
  readonly keys: string[] = [];
  readonly args: string[];
  readonly bytes: number;
  private readonly sections: AppendSection[] = [];

  /**
   * @param token Begins the names of the sections, and of the epochs that the call may have to make. Used once.
   * @param touch Whether something must be written whatever the outcome.
   */
  constructor(
    readonly items: readonly PendingAppend[],
    keys: RedisKeys,
    token: string,
    headMs: number,
    touch: boolean,
  ) {
    /** The section of each channel that its next append may join. */
    const open = new Map<string, AppendSection>();
    let bytes = 0;
    for (const item of items) {
      const { channel, policy } = item.request;
      let section = open.get(channel);
      if (section === undefined || !section.takes(item)) {
        const name = `${token}.${this.sections.length + 1}`;
        section = new AppendSection(name, channel, keys.of(channel), policy, headMs);
        open.set(channel, section);
        this.sections.push(section);
      }
      section.add(item);
      bytes += item.bytes;
    }
    this.bytes = bytes;
    const policies = new Map<string, readonly string[]>();
    const args: string[] = [];
    for (const section of this.sections) section.write(this.keys, args, policies);
    const head = [token, touch ? '1' : '0', String(policies.size), String(this.sections.length)];
    this.args = head.concat(...policies.values(), args);
  }

  /**
   * Settles every append with the answer of the script.
   *
   * @param replicated Whether enough replicas have the writes of the call. Without them an append that was not refused is
   * `timeout`: its outcome is unknown.
   */
  settle(reply: unknown, replicated = true): void {
    const answers = reply as readonly (readonly AppendAnswer[])[];
    this.sections.forEach((section, index) => section.settle(answers[index] ?? [], replicated));
  }
}

/** A run of appends to one log under one policy: one record of the log, one message, one part of a script call. */
class AppendSection {
  private readonly items: PendingAppend[] = [];
  private bytes = 0;
  private dedupeMs = 0;
  private withIds = 0;
  private withAfter = 0;
  private refused = false;

  /** @param name What the script calls the section; no other call has a section of this name. */
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
    const { retain, size, ttlMs, maxBytes } = this.policy;
    return (
      policy.retain === retain &&
      policy.size === size &&
      policy.ttlMs === ttlMs &&
      policy.maxBytes === maxBytes
    );
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
    if (typeof item.share === 'number') this.refused = true;
  }

  /** Adds its part to the keys and arguments of the script; its policy, where no section had the same. */
  write(keys: string[], args: string[], policies: Map<string, readonly string[]>): void {
    const { items } = this;
    const { head, stream, topic, ids: hashes, origin } = this.keys;
    keys.push(head, stream, topic, ...hashes, origin);
    const ids: string[] = [];
    const details: string[] = [];
    const form = this.writeDetails(ids, details);
    const record = encodeRecord(items.map(({ body }) => body));
    args.push(String(this.numberIn(policies)), String(items.length), String(ids.length), form);
    args.push(...this.sizes(), record, ...ids);
    args.push(...details);
  }

  /** The place of its policy among those of the call, from 1. */
  private numberIn(policies: Map<string, readonly string[]>): number {
    const limits = this.limits();
    const name = limits.join();
    if (!policies.has(name)) policies.set(name, limits);
    return [...policies.keys()].indexOf(name) + 1;
  }

  /**
   * @param answer `[epoch, seq of the first, …answers]`, without answers when every event was appended; or `['', error, 1]`, the last
   * being 0 when nothing was written before the error.
   */
  settle([epoch, first, ...answers]: readonly AppendAnswer[], replicated: boolean): void {
    if (epoch === '') return settleFailed(this.items, new Error(String(first)), answers[0] === 1);
    this.items.forEach((item, place) => {
      const answer = answers[place] ?? Number(first) + place;
      settleAppend(item, outcomeOf(answer, String(epoch), replicated, item.share));
    });
  }

  private writeDetails(ids: string[], details: string[]): '' | 'm' {
    const { items } = this;
    if (this.withAfter === 0 && this.withIds === 0) return '';
    if (this.withAfter === 0 && this.withIds === items.length && !this.refused) {
      for (const { request } of items) {
        details.push(`${this.name}-${ids.length} ${request.fingerprint}`);
        ids.push(idField(request.producer, request.event.id));
      }
      if (new Set(ids).size === ids.length) return '';
      ids.length = details.length = 0;
    }
    const place = (producer: string, id: string) => String(ids.push(idField(producer, id)));
    for (const { request, share } of items) {
      const { producer, event, after, policy, fingerprint } = request;
      const onlyIfKnown = typeof share === 'number' ? '-' : '';
      details.push(
        policy.dedupeMs > 0 ? onlyIfKnown + place(producer, event.id) : '0',
        after === undefined ? '0' : place(producer, after),
        fingerprint,
      );
    }
    return 'm';
  }

  /** Bytes of all events, and of each where there are several. */
  private sizes(): readonly [string, string] {
    const each = this.items.map(({ request }) => Math.max(0, Math.ceil(request.bytes)));
    const sum = each.reduce((total, bytes) => total + bytes, 0);
    return [String(sum), each.length === 1 ? '' : each.join()];
  }

  private limits(): readonly string[] {
    const { retain, size, ttlMs, maxBytes } = this.policy;
    const kept = retain && size > 0 && maxBytes > 0;
    const ttl = milliseconds(ttlMs);
    const head = this.channel.startsWith(PROBE_CHANNELS) ? PROBE_HEAD_MS : this.headMs + (kept ? ttl : 0);
    return [
      kept ? '1' : '0',
      String(Math.floor(size)),
      String(ttl),
      String(this.dedupeMs > 0 ? milliseconds(this.dedupeMs) : 0),
      String(milliseconds(head)),
      String(Math.floor(Math.min(maxBytes, Number.MAX_SAFE_INTEGER / 4096))),
    ];
  }
}

function outcomeOf(
  answer: AppendAnswer,
  epoch: string,
  replicated: boolean,
  share: PendingAppend['share'],
): AppendOutcome {
  if (answer === 'r')
    return { ok: false, code: 'rate_limited', retryAfterMs: Number(share), message: TOO_MANY_IDS };
  if (answer === 'c') return { ok: false, code: 'conflict' };
  if (answer === 'o') return { ok: false, code: 'out_of_order' };
  if (!replicated) return { ok: false, code: 'timeout' };
  if (typeof answer === 'number') return { ok: true, position: { epoch, seq: answer }, duplicate: false };
  const [seq, firstEpoch = ''] = answer.split(' ');
  return { ok: true, position: { epoch: firstEpoch, seq: Number(seq) }, duplicate: true };
}

/** Redis takes whole milliseconds, and no age beyond what a date can be. */
function milliseconds(value: number): number {
  return Math.round(Math.min(Math.max(value, 1), Number.MAX_SAFE_INTEGER / 4096));
}
