import { auditCode } from '../core/engine/audit/act-draft.js';
import type { AuditDraft } from '../core/ports/audit.js';

/** Most that an entry says of the ids of a batch, and of its channels, in characters of JSON: an entry has at most 4 KiB of data. */
const MAX_LIST_CHARACTERS = 1_500;

/** What the audit says of a published event: never its payload. */
export interface PublishedEvent {
  readonly channel: string;
  readonly event: string;
  readonly id?: string;
  readonly user?: string;
}

/** Where the broker put it. */
export interface Placed {
  readonly epoch: string;
  readonly seq: number;
  readonly duplicate: boolean;
}

/** The entry of one event. */
export function draftOfPublish(
  by: string,
  { channel, event, id, user }: PublishedEvent,
  outcome: PromiseSettledResult<Placed>,
): AuditDraft {
  const given = {
    event,
    ...(id === undefined ? {} : { id }),
    ...(user === undefined ? {} : { user }),
  };
  const entry = { act: 'publish', by, channel } as const;
  if (outcome.status === 'rejected')
    return { ...entry, result: 'failed', error: auditCode(outcome.reason), data: given };
  const { epoch, seq, duplicate } = outcome.value;
  return { ...entry, data: { ...given, epoch, seq, duplicate } };
}

/** The one entry of a batch: how many, how many of them failed or were there before, and as many ids and channels as an entry has room for. */
export function draftOfBatch(
  by: string,
  events: readonly (PublishedEvent & { readonly id: string })[],
  outcomes: readonly PromiseSettledResult<Placed>[],
): AuditDraft {
  const failed = outcomes.filter(({ status }) => status === 'rejected').length;
  const duplicates = outcomes.filter((each) => each.status === 'fulfilled' && each.value.duplicate).length;
  const channels = [...new Set(events.map(({ channel }) => channel))];
  const error = outcomes.find((each) => each.status === 'rejected')?.reason as unknown;
  return {
    act: 'publish',
    by,
    ...(channels.length === 1 ? { channel: channels[0] } : {}),
    result: failed === 0 ? 'applied' : failed < events.length ? 'partial' : 'failed',
    ...(failed === 0 ? {} : { error: auditCode(error) }),
    data: {
      events: events.length,
      failed,
      duplicates,
      ids: startOf(events.map(({ id }) => id)),
      ...(channels.length === 1 ? {} : { channels: startOf(channels) }),
    },
  };
}

/** The first of a list that an entry has room for. */
function startOf(texts: readonly string[]): readonly string[] {
  let left = MAX_LIST_CHARACTERS;
  const end = texts.findIndex((text) => (left -= JSON.stringify(text).length + 1) < 0);
  return end === -1 ? texts : texts.slice(0, end);
}
