import { RealtimeError } from '../../../protocol/realtime-error.js';
import { ThrottledLog } from '../../async/throttled-log.js';
import type { TimeLeft } from '../../async/time-left.js';
import type {
  AuditDraft,
  AuditEntry,
  AuditFilter,
  AuditPage,
  AuditSink,
  AuditSubject,
} from '../../ports/audit.js';
import type { Clock } from '../../ports/clock.js';
import type { Entropy } from '../../ports/entropy.js';
import { clientNetwork } from '../../ports/ip-address.js';
import type { EngineLogger } from '../../ports/logger.js';
import { BY_SPAM } from '../../ports/moderation.js';
import type { Observer } from '../../ports/observer.js';
import { anonymousOf } from '../../ports/user-id.js';
import { draftOfAct } from './act-draft.js';
import { sizeOfEntry } from './entry-size.js';
import { RefusalSamples } from './refusal-samples.js';
import { SinkQueue, type SinkQueueLimits, type SinkStatus } from './sink-queue.js';

/** Reason of the error where no sink can be read: no later attempt finds one. */
export const UNREADABLE = 'unreadable';

/** Longest texts of an entry, in characters: a reason of the application may have any length. */
const MAX_TEXT = 1_024;
/** Codes and statuses with which clients are refused for who they are, and not for how much they send. */
const REFUSALS: readonly unknown[] = ['unauthorized', 'forbidden', 'banned', 401, 403];

export interface AuditDeps extends SinkQueueLimits {
  readonly sinks: readonly AuditSink[];
  /** What clients cause: so many in a minute have an entry each, the others are counted. */
  readonly refusalsPerMinute: number;
  /** Whether what clients are refused by authorizations, and when they connect, is recorded. */
  readonly refusals: boolean;
  readonly nodeId: string;
  /** First bits of IPv6 addresses that are one client. */
  readonly ipv6Prefix: number;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'id'>;
  readonly logger: EngineLogger;
}

/** Records who did what, and hands it to the sinks. None of them holds up what is recorded. */
export class Audit {
  /** Notifies the audit of what the engine does. */
  readonly observer: Observer;
  private readonly queues: readonly SinkQueue[];
  private readonly refusals: RefusalSamples;
  private closing: Promise<void> | undefined;

  constructor(private readonly deps: AuditDeps) {
    const { sinks, clock, logger, refusalsPerMinute } = deps;
    const journal = new ThrottledLog(logger, clock);
    const lost = (count: number) => {
      const entry = this.entryOf({ act: 'lost', result: 'failed', data: { entries: count } });
      return { entry, bytes: sizeOfEntry(entry) };
    };
    this.queues = sinks.map(
      (sink, index) =>
        new SinkQueue({ ...deps, sink, name: sink.name ?? `audit.sinks[${index}]`, journal, lost }),
    );
    this.refusals = new RefusalSamples({
      clock,
      perMinute: refusalsPerMinute,
      record: (draft) => void this.enter(draft, true),
    });
    this.observer = this.observe();
  }

  /** Of each sink, in the order in which they were given. */
  get status(): readonly SinkStatus[] {
    return this.queues.map(({ status }) => status);
  }

  /** Records an act of the application. @returns the entry, which the sinks are handed as soon as they take it. */
  record(draft: AuditDraft): AuditEntry {
    return this.enter(draft, false);
  }

  /**
   * Records that a caller of the application's own paths was refused: bounded as all that clients cause.
   *
   * @param client who is charged for it. @param kind as {@link RefusalSamples.add} has it.
   */
  recordRefusal(client: string, kind: string, draft: () => AuditDraft): void {
    this.refusals.add(client, kind, draft);
  }

  /**
   * Lists entries from the first sink that can be read, newest first.
   *
   * @throws RealtimeError `unavailable` where no sink can be read, or the sink fails.
   */
  async list(
    filter: AuditFilter,
    page: { readonly cursor?: string; readonly limit: number },
  ): Promise<AuditPage> {
    const readable = this.deps.sinks.find((sink) => sink.read !== undefined);
    if (readable?.read === undefined)
      throw new RealtimeError('unavailable', 'audit.list: none of the sinks can be read. Add memorySink()', {
        reason: UNREADABLE,
      });
    try {
      return await readable.read({ ...filter, ...page });
    } catch (cause) {
      if (cause instanceof RealtimeError) throw cause;
      throw new RealtimeError('unavailable', 'audit.list: the sink could not be read', { cause });
    }
  }

  /** The application ends: sinks that failed are tried again now. What comes until {@link close} is taken as ever. */
  hurry(): void {
    for (const queue of this.queues) queue.hurry();
  }

  /** Hands the sinks what waits, and closes them. What they do not take in time is counted in the log. Idempotent. */
  close(time: TimeLeft): Promise<void> {
    this.closing ??= this.end(time);
    return this.closing;
  }

  private async end(time: TimeLeft): Promise<void> {
    this.refusals.end();
    const { logger } = this.deps;
    await Promise.all(
      this.queues.map(async (queue) => {
        const left = await queue.close(time);
        if (left > 0)
          logger.error(`The audit sink ${queue.name} did not take ${left} entries before the end`);
      }),
    );
  }

  private enter(draft: AuditDraft, isOfClient: boolean): AuditEntry {
    const entry = this.entryOf(draft);
    const item = { entry, bytes: sizeOfEntry(entry) };
    for (const queue of this.queues) queue.push(item, isOfClient);
    return entry;
  }

  private entryOf(draft: AuditDraft): AuditEntry {
    const { nodeId, clock, entropy } = this.deps;
    const { act, by, whom, channel, reason, result = 'applied', receipt, error, data } = draft;
    return Object.freeze({
      id: entropy.id(),
      ts: clock.now(),
      node: nodeId,
      act,
      ...(by === undefined ? {} : { by: short(by) }),
      ...(whom === undefined ? {} : { whom }),
      ...(channel === undefined ? {} : { channel }),
      ...(reason === undefined ? {} : { reason: short(reason) }),
      result,
      ...(receipt === undefined ? {} : { receipt }),
      ...(error === undefined ? {} : { error }),
      ...(data === undefined ? {} : { data }),
    });
  }

  private observe(): Observer {
    const { refusals, ipv6Prefix } = this.deps;
    const acts: Observer = {
      onAct: (act, receipt, error) => {
        if (!('connection' in act)) {
          const draft = draftOfAct(act, receipt, error);
          // Steps against spam are caused by clients, and as many as those make.
          if (draft.by === BY_SPAM) this.refusals.add(draft.whom?.id ?? '', `spam ${draft.act}`, () => draft);
          else this.enter(draft, false);
          return;
        }
        const { id, user, ip } = act.connection;
        const { client, whom } = clientOf(user?.id, clientNetwork(ip, ipv6Prefix));
        const name = act.kind === 'close' ? 'abuse_close' : 'throttle';
        this.refusals.add(client, name, () => ({
          act: name,
          by: 'abuse',
          whom,
          data: { session: id, banMs: act.banMs },
        }));
      },
      onSpam: ({ user, address, session, channel, pattern, step, strikes }) => {
        // The others are acts.
        if (step !== 'warn') return;
        this.refusals.add(user ?? anonymousOf(address), `warn ${pattern}`, () => ({
          act: 'warn',
          by: BY_SPAM,
          whom: user === undefined ? { of: 'session', id: session } : { of: 'user', id: user },
          channel,
          data: { strikes },
        }));
      },
    };
    if (!refusals) return acts;
    return {
      ...acts,
      onAuthorization: ({ user, connection, channel }, pattern, action, outcome) => {
        if (outcome !== 'forbidden') return;
        const { client, whom } = clientOf(user?.id, clientNetwork(connection.ip, ipv6Prefix));
        this.refusals.add(client, `authorize ${action} ${pattern}`, () => ({
          act: 'authorize',
          whom,
          ...(channel === '' ? {} : { channel }),
          result: 'refused',
          error: 'forbidden',
          data: { action },
        }));
      },
      onRefusal: (at, reason, ip) => {
        if (!REFUSALS.includes(reason)) return;
        const { client, whom } = clientOf(undefined, clientNetwork(ip, ipv6Prefix));
        this.refusals.add(client, `connect ${at} ${reason}`, () => ({
          act: 'connect',
          whom,
          result: 'refused',
          error: String(reason),
          data: { at },
        }));
      },
    };
  }
}

/** Who is charged for an entry, and who it is about. */
function clientOf(
  user: string | undefined,
  network: string,
): { readonly client: string; readonly whom: AuditSubject } {
  return user === undefined
    ? { client: anonymousOf(network), whom: { of: 'address', id: network } }
    : { client: user, whom: { of: 'user', id: user } };
}

function short(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}
