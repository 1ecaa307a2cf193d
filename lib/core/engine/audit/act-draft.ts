import { isErrorCode } from '../../../protocol/error-codes.js';
import type { AuditDraft, AuditSubject, AuditValue } from '../../ports/audit.js';
import type { ControlReceipt } from '../../ports/control.js';
import type { AdministrativeAct } from '../../ports/observer.js';

/** Places that an entry names one by one. */
const MAX_SEQS = 100;

/** What the audit has of an administrative act and its outcome. @param receipt `undefined` where the broker rejected it. */
export function draftOfAct(
  act: AdministrativeAct,
  receipt: ControlReceipt | undefined,
  error: unknown,
): AuditDraft {
  const named = act.as === undefined ? {} : { act: act.as };
  return { ...subjectOf(act), ...named, ...whyOf(act), ...outcomeOf(receipt, error) };
}

/** The code of an error. Its message may be about anything, and is in the log. */
export function auditCode(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return isErrorCode(code) ? code : 'internal';
}

function outcomeOf(
  receipt: ControlReceipt | undefined,
  error: unknown,
): Pick<AuditDraft, 'result' | 'receipt' | 'error'> {
  if (receipt === undefined) return { result: 'failed', error: auditCode(error) };
  return { result: receipt.missing.length === 0 ? 'applied' : 'partial', receipt };
}

function whyOf(act: { readonly by?: string; readonly reason?: string }): Pick<AuditDraft, 'by' | 'reason'> {
  return {
    ...(act.by === undefined ? {} : { by: act.by }),
    ...(act.reason === undefined ? {} : { reason: act.reason }),
  };
}

function subjectOf(act: AdministrativeAct): Pick<AuditDraft, 'act' | 'whom' | 'channel' | 'data'> {
  switch (act.kind) {
    case 'disconnect':
    case 'unban':
      return { act: act.kind, whom: user(act.user) };
    case 'disconnect_sessions':
      return act.of === 'channel'
        ? { act: 'disconnect', whom: EVERYBODY, channel: act.id }
        : { act: 'disconnect', whom: { of: act.of, id: act.id } };
    case 'revoke':
      return { act: 'revoke', whom: user(act.user), ...channelOf(act.channel) };
    case 'revoke_pattern':
      return { act: 'revoke', whom: user(act.user), channel: act.pattern };
    case 'reauthorize':
      return {
        act: 'reauthorize',
        whom: act.user === undefined ? EVERYBODY : user(act.user),
        ...channelOf(act.channel),
      };
    case 'ban':
      return { act: 'ban', whom: user(act.user), ...dataOf({ forMs: act.forMs }) };
    case 'erase':
      return {
        act: 'erase',
        channel: act.channel,
        data: { count: act.seqs.length, seqs: act.seqs.slice(0, MAX_SEQS) },
      };
    case 'restrict':
      return {
        act: act.act,
        whom: act.whom,
        ...channelOf(act.channel),
        ...dataOf({ forMs: act.forMs, everyMs: act.everyMs }),
      };
    case 'lift':
      return { act: LIFTED[act.act], whom: act.whom, ...channelOf(act.channel) };
  }
}

const LIFTED = { ban: 'unban', mute: 'unmute', slow: 'end_slow' } as const;

const EVERYBODY: AuditSubject = { of: 'everybody', id: '' };

function user(id: string): AuditSubject {
  return { of: 'user', id };
}

function channelOf(channel: string | undefined): Pick<AuditDraft, 'channel'> {
  return channel === undefined ? {} : { channel };
}

/** Without what is not there. */
function dataOf(values: Readonly<Record<string, AuditValue | undefined>>): Pick<AuditDraft, 'data'> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return given.length === 0 ? {} : { data: Object.fromEntries(given) as Record<string, AuditValue> };
}
