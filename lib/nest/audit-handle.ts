import type { Audit } from '../core/engine/audit/audit.js';
import type { AuditDraft, AuditEntry, AuditFilter, AuditPage, AuditValue } from '../core/ports/audit.js';
import { RealtimeError } from '../protocol/realtime-error.js';

const RESULTS: readonly unknown[] = ['applied', 'partial', 'failed', 'refused'];
const SUBJECTS: readonly unknown[] = ['user', 'session', 'address', 'everybody'];
const FIELDS = ['act', 'by', 'whom', 'channel', 'reason', 'result', 'receipt', 'error', 'data'];
const FILTER_FIELDS = ['act', 'by', 'whom', 'channel', 'result'];
/** Longest of each field, in characters. */
const MAX_NAME = 64;
const MAX_ID = 255;
const MAX_REASON = 1_024;
const MAX_DATA = 4 * 1_024;
const MAX_LIMIT = 1_000;

/** The audit: what was done to whom, by whom, why, and with which result. */
export class AuditHandle {
  constructor(private readonly audit: Audit) {}

  /**
   * Records an act of the application itself. It is handed to the sinks in the order of the calls; what they do not take is written
   * again, and nobody waits for it. Put no secrets and no messages into it.
   *
   * @param draft.data at most 4 KiB of JSON.
   * @returns the entry as the sinks get it.
   * @throws RealtimeError `bad_request` for a field that is missing, unknown, or too long.
   * @example realtime.audit.record({ act: 'close_room', by: admin.id, channel: 'rooms.42', reason: 'off topic' });
   */
  record(draft: AuditDraft): AuditEntry {
    return this.audit.record(checked(draft));
  }

  /**
   * Lists entries of the first sink that can be read, newest first. A page may have fewer entries than `limit`: the list ends where
   * `more` is absent.
   *
   * @param filter entries that have all that it names. @param page.limit at most 1000. Default 100.
   * @throws RealtimeError `bad_request` for a wrong argument, `unavailable` where no sink can be read, or the sink fails.
   * @example const { entries, more } = await realtime.audit.list({ act: 'ban', by: admin.id }, { limit: 20 });
   */
  async list(
    filter: AuditFilter = {},
    { cursor, limit = 100 }: { readonly cursor?: string | undefined; readonly limit?: number } = {},
  ): Promise<AuditPage> {
    requireKnown('audit.list', filter, FILTER_FIELDS);
    for (const [name, value] of Object.entries(filter))
      demand(value === undefined || typeof value === 'string', `audit.list: ${name} must be a text`);
    demand(
      Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_LIMIT,
      `audit.list: limit must be a whole number of 1 to ${MAX_LIMIT}`,
    );
    demand(cursor === undefined || typeof cursor === 'string', 'audit.list: cursor must be a text');
    return this.audit.list(filter, { ...(cursor === undefined ? {} : { cursor }), limit });
  }
}

/** A copy that no later change of the application's objects reaches. */
function checked(draft: AuditDraft): AuditDraft {
  requireKnown('audit.record', draft, FIELDS);
  const { act, by, whom, channel, reason, result, error, receipt, data } = draft;
  demand(
    isText(act, MAX_NAME) && act !== '',
    `audit.record: act must be a text of 1 to ${MAX_NAME} characters`,
  );
  for (const [name, value, max] of [
    ['by', by, MAX_ID],
    ['channel', channel, MAX_ID],
    ['reason', reason, MAX_REASON],
    ['error', error, MAX_NAME],
  ] as const)
    demand(
      value === undefined || isText(value, max),
      `audit.record: ${name} must be a text of at most ${max} characters`,
    );
  demand(
    whom === undefined || (SUBJECTS.includes(whom.of) && isText(whom.id, MAX_ID)),
    'audit.record: whom must be like { of: "user", id: "u7" }; of: user, session, address or everybody',
  );
  demand(
    result === undefined || RESULTS.includes(result),
    'audit.record: result must be applied, partial, failed or refused',
  );
  return {
    ...draft,
    ...(whom === undefined ? {} : { whom: { of: whom.of, id: whom.id } }),
    ...(receipt === undefined ? {} : { receipt: copied('receipt', receipt) }),
    ...(data === undefined ? {} : { data: copied('data', data) }),
  };
}

function copied<T extends object>(name: string, value: T): T {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch {
    json = undefined;
  }
  demand(
    typeof value === 'object' && json !== undefined && json.length <= MAX_DATA,
    `audit.record: ${name} must be an object of at most ${MAX_DATA} characters of JSON`,
  );
  return JSON.parse(json as string) as T & AuditValue;
}

function isText(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length <= max;
}

function requireKnown(method: string, given: object, known: readonly string[]): void {
  demand(typeof (given as unknown) === 'object' && (given as unknown) !== null, `${method}: give an object`);
  for (const name of Object.keys(given))
    demand(known.includes(name), `${method}: there is no ${name}; there are ${known.join(', ')}`);
}

/** @throws RealtimeError `bad_request`. */
function demand(isRight: boolean, message: string): void {
  if (!isRight) throw new RealtimeError('bad_request', message);
}
