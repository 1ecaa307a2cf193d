import { MAX_REMAINING } from '../../core/access/restrictions.js';
import { MAX_NAMED_CHANNELS } from '../../core/engine/cluster/session-details.js';
import {
  anything,
  choice,
  described,
  flag,
  list,
  object,
  record,
  text,
  whole,
  type Schema,
} from '../schema.js';

/** Shapes that several answers have. */
const name = text(512);
export const names = list(name, 10_000);
export const count = whole(0);
export const more = described(text(1_024), 'the `cursor` of the next page; absent on the last');
export const missing = described(
  names,
  'nodes that did not answer in time: what they have is not in this answer',
);

const ofReceipt = {
  confirmed: described(names, 'nodes that applied it'),
  missing: described(names, 'nodes that did not confirm it in time; they apply it once they can be reached'),
};

/** Which nodes did it. */
export const receipt = object(ofReceipt, {});

const ofSession = {
  id: name,
  node: name,
  ip: name,
  transport: name,
  connectedAt: described(whole(0), 'milliseconds since the Unix epoch, by the clock of its node'),
  channels: count,
};
const ofSomeSessions = {
  user: described(name, 'absent for an anonymous client'),
  lineage: described(name, 'names the session through all its connections'),
};

export const session = object(ofSession, ofSomeSessions);

const subscription = object(
  {
    channel: name,
    behind: described(count, 'events of the log that it has not been handed yet'),
    live: described(flag, 'whether it gets new events as they come; false while it catches up'),
  },
  {},
);

/** A connection, with what the lists leave out. */
export const connection = object(
  {
    ...ofSession,
    waitingBytes: described(count, 'bytes that wait for it'),
    blocked: described(flag, 'whether its socket holds back what it was given'),
    subscriptions: described(list(subscription, MAX_NAMED_CHANNELS), 'its first channels'),
  },
  ofSomeSessions,
);

export const servedChannel = object(
  {
    channel: name,
    pattern: name,
    subscribers: described(count, 'sessions that are subscribed, on the nodes that answered'),
    nodes: described(count, 'nodes that serve it'),
  },
  { members: described(count, 'users that are present; absent where the channel keeps no presence') },
);

export const node = object(
  {
    node: name,
    version: name,
    started: flag,
    draining: flag,
    broker: choice(['up', 'down']),
    withholding: described(
      flag,
      'whether events of channels that are not public wait until revokes are known again',
    ),
    sessions: count,
    channels: count,
  },
  {},
);

export const position = object({ epoch: name, seq: count }, {});

export const event = object(
  { event: described(name, '`$erased` where it was erased'), seq: count },
  { id: name, ts: count, payload: anything, user: name, key: name, meta: record, trace: name, epoch: name },
);

export const published = object(
  {
    seq: count,
    epoch: name,
    duplicate: described(
      flag,
      'whether the same id was published before: then `seq` is that of the first time',
    ),
  },
  {},
);

export const problem = object(
  { code: name, message: text(4_096) },
  {
    details: list(object({ path: text(512, 0), message: text(1_024) }, {}), 64),
    retryAfterMs: count,
  },
);

const subject = object({ of: choice(['user', 'session', 'address', 'everybody']), id: text(512, 0) }, {});

export const restriction = object(
  { act: choice(['ban', 'mute', 'slow']), whom: subject },
  {
    channel: described(name, 'a name or a pattern; absent: everywhere'),
    forMs: described(count, 'what is left, in milliseconds; absent: without end'),
    everyMs: described(count, 'of slow mode: one publish in so many milliseconds'),
    reason: text(1_024),
    by: name,
  },
);

/** The end of a restriction. */
export const liftReceipt = object(
  {
    ...ofReceipt,
    remains: described(
      list(restriction, MAX_REMAINING),
      'what else of the same act and person is still in force in these channels, such as the ban of a pattern, or one everywhere',
    ),
  },
  {},
);

export const auditEntry = object(
  { id: name, ts: count, node: name, act: name, result: choice(['applied', 'partial', 'failed', 'refused']) },
  { by: name, whom: subject, channel: name, reason: text(1_024), receipt, error: name, data: record },
);

/** The body of every answer that is an error. */
export const failure: Schema = object({ error: problem }, {});

/** The parts of every act. */
export const why = { reason: described(text(512), 'why; for the log and the audit, never for clients') };
/** The parts of every list. */
export const page = (max: number) => ({
  cursor: described(text(1_024), '`more` of the page before'),
  limit: described(whole(1, max), 'most entries of the page; 100 where it is left out'),
});

/** What an act is given of who asks for it, and why. */
export function whyOf(
  by: string,
  reason: string | undefined,
): { readonly by: string; readonly reason?: string } {
  return reason === undefined ? { by } : { by, reason };
}
