import { hash } from 'node:crypto';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelRegistry } from '../channel/registry.js';
import { contentOf, fingerprintOf, sizeOf } from '../log/event-content.js';
import type { AppendQueue } from '../log/append-queue.js';
import type { BrokerLog } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { ControlReceipt, EraseRecord, Why } from '../ports/control.js';
import { ERASED_EVENT, MAX_ERASED } from '../ports/erasure.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Position } from '../../protocol/position.js';

/** In whose name notices are appended: a repeated erasure is recognized, and announced once. */
const PRODUCER = 'a:$erased';
/** Most events that one call names. */
const MAX_NAMED = 10_000;
/** Events of one read where those of a user are looked for. */
const PAGE = 500;
/** Most bytes of a `seq` in a notice, with its comma; and of everything else in it. */
const SEQ_BYTES = 17;
const NOTICE_BYTES = 200;

/** Which events of a channel are erased: by their places, or those of a user that the log has when it is called. */
export type ErasedEvents =
  { readonly seq: number } | { readonly seqs: readonly number[] } | { readonly user: string };

/** What became of an erasure. */
export interface EraseReceipt extends ControlReceipt {
  /** Places of the erased events, ascending; those of a user are the ones that the log still had. */
  readonly erased: readonly number[];
}

export interface ErasureDeps {
  readonly channels: Pick<ChannelRegistry, 'require'>;
  readonly log: BrokerLog;
  readonly appends: Pick<AppendQueue, 'append'>;
  readonly settings: Pick<EngineSettings, 'limits'>;
  /** Sends a record to every node, and says what became of it. */
  readonly control: (record: EraseRecord) => Promise<ControlReceipt>;
  /** An erasure that no node is asked for: there was nothing to erase, or a step before failed. `ms` is how long it took. */
  readonly ended: (
    record: EraseRecord,
    receipt: ControlReceipt | undefined,
    error: unknown,
    ms: number,
  ) => void;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/**
 * Erases events (G29): from the log first, so that nobody reads them any more; then subscribers are sent a notice in the order of the
 * log; then every node drops what it holds. Each step can be repeated, and the same call does it.
 */
export class Erasure {
  constructor(private readonly deps: ErasureDeps) {}

  /**
   * @throws RealtimeError `unknown_channel`, `bad_request` for events that the log never had or a broker that cannot erase;
   * `unavailable` or `timeout` where a step failed: the error names the places that are to be erased once more.
   */
  async erase(channel: string, what: ErasedEvents, why: Why = {}): Promise<EraseReceipt> {
    const { clock, channels, ended } = this.deps;
    const { definition } = channels.require(channel);
    const startedAt = clock.monotonic();
    const tip = await this.tipOf(channel);
    const seqs = 'user' in what ? await this.ofUser(channel, tip, what.user) : placesOf(what, tip, channel);
    const confirmed = new Set<string>();
    const missing = new Set<string>();
    if (seqs.length === 0) {
      const record = recordOf(channel, tip.epoch, seqs, why);
      ended(record, { confirmed: [], missing: [] }, undefined, clock.monotonic() - startedAt);
    }
    const step = this.stepOf();
    for (let at = 0; at < seqs.length; at += step) {
      const some = seqs.slice(at, at + step);
      const receipt = await this.eraseSome(channel, definition, some, why).catch((error: unknown) => {
        throw unfinished(error, seqs.slice(at));
      });
      for (const node of receipt.confirmed) confirmed.add(node);
      for (const node of receipt.missing) missing.add(node);
    }
    // Of a node that missed one of the records it is not known that it has done everything.
    return {
      confirmed: [...confirmed].filter((node) => !missing.has(node)),
      missing: [...missing],
      erased: seqs,
    };
  }

  private async eraseSome(
    channel: string,
    definition: ChannelDefinition,
    seqs: readonly number[],
    why: Why,
  ): Promise<ControlReceipt> {
    const { clock, control, ended } = this.deps;
    const startedAt = clock.monotonic();
    // Unknown until the log answers.
    let epoch = '';
    try {
      ({ epoch } = (await this.eraseFromLog({ channel, seqs })).tip);
      await this.announce(channel, definition, epoch, seqs);
    } catch (error) {
      ended(recordOf(channel, epoch, seqs, why), undefined, error, clock.monotonic() - startedAt);
      throw error;
    }
    return await control(recordOf(channel, epoch, seqs, why));
  }

  private eraseFromLog(request: { channel: string; seqs: readonly number[] }): Promise<{ tip: Position }> {
    const { log } = this.deps;
    if (log.erase !== undefined) return log.erase(request);
    throw new RealtimeError(
      'bad_request',
      'erase: the broker cannot erase events. Use memoryBroker() or redisBroker(), or give your broker log.erase',
    );
  }

  /** Appends the notice. Clients that were shown the events before learn from it that they are gone. */
  private async announce(
    channel: string,
    { policy, pattern }: ChannelDefinition,
    epoch: string,
    seqs: readonly number[],
  ): Promise<void> {
    const { appends, settings } = this.deps;
    const { value, json } = contentOf({ seqs });
    // The same events of the same log again are the same notice.
    const id = `erased:${hash('sha1', `${epoch} ${json}`, 'base64url')}`;
    const event = { id, event: ERASED_EVENT, payload: value };
    const bytes = sizeOf(event, json, '', settings.limits.maxEventBytes);
    const fingerprint = fingerprintOf(ERASED_EVENT, json);
    await appends.append(
      { channel, producer: PRODUCER, fingerprint, event, bytes, policy: policy.log },
      pattern,
    );
  }

  /** Events of one step: as many as a notice of the largest size names. */
  private stepOf(): number {
    const { maxEventBytes } = this.deps.settings.limits;
    return Math.max(1, Math.min(MAX_ERASED, Math.floor((maxEventBytes - NOTICE_BYTES) / SEQ_BYTES)));
  }

  private async tipOf(channel: string): Promise<Position> {
    const [tip] = await this.deps.log.tips([channel]);
    if (tip === undefined) throw new RealtimeError('unavailable');
    return tip;
  }

  /**
   * Where the user's events are, up to `tip`. Looked for before anything is erased: afterwards nothing says whose they were, and a
   * step that failed could not be repeated.
   */
  private async ofUser(channel: string, { epoch, seq: until }: Position, user: string): Promise<number[]> {
    const found: number[] = [];
    for (let from = 1; from <= until;) {
      const page = await this.deps.log.read({ channel, epoch, from, until, limit: PAGE });
      if (!page.continuous)
        throw new RealtimeError('unavailable', 'erase: the log was lost while it was read; call it again');
      for (const event of page.events) if (event.user === user) found.push(event.seq);
      from = (page.events.at(-1)?.seq ?? until) + 1;
    }
    return found;
  }
}

function recordOf(channel: string, epoch: string, seqs: readonly number[], { reason, by }: Why): EraseRecord {
  return { kind: 'erase', channel, epoch, seqs, reason, by };
}

/** @throws RealtimeError `bad_request`. */
function placesOf(
  what: { readonly seq: number } | { readonly seqs: readonly number[] },
  tip: Position,
  channel: string,
): number[] {
  const named = 'seq' in what ? [what.seq] : [...what.seqs];
  if (named.length > MAX_NAMED)
    throw new RealtimeError(
      'bad_request',
      `erase: at most ${MAX_NAMED} events at once, and these are ${named.length}. Call it several times`,
    );
  for (const seq of named)
    if (!Number.isSafeInteger(seq) || seq < 1 || seq > tip.seq)
      throw new RealtimeError(
        'bad_request',
        `erase: ${JSON.stringify(channel)} has no event ${JSON.stringify(seq)}: its events are numbered from 1 to ${tip.seq}`,
      );
  return [...new Set(named)].sort((left, right) => left - right);
}

/** The error of a step that failed, with how to repeat it. */
function unfinished(error: unknown, seqs: readonly number[]): RealtimeError {
  const known = error instanceof RealtimeError ? error : undefined;
  const places = JSON.stringify(seqs);
  const message =
    `erase: ${known?.message ?? 'a step failed'}. Whether these events are erased everywhere is not certain: repeat it with ` +
    `{ seqs: ${places.length > 400 ? 'those of details[0].message' : places} }`;
  const details = [{ path: 'seqs', message: places }];
  const { retryAfterMs } = known ?? {};
  return new RealtimeError(known?.code ?? 'unavailable', message, {
    cause: error,
    details,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
