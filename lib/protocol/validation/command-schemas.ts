import { isChannelName } from '../channel-name.js';
import type { ClientCommandType } from '../commands.js';
import { MAX_EVENT_LENGTH, MAX_ID_LENGTH, MAX_KEY_LENGTH } from '../envelope.js';
import {
  anything,
  finite,
  flag,
  integer,
  list,
  matching,
  object,
  record,
  text,
  type Field,
} from './checks.js';

/** Largest page that `history` and `presence` give. */
export const MAX_PAGE = 1000;

const id = text(MAX_ID_LENGTH);

/** Fields of an event that mean the same from a client and from the application. */
export const EVENT_FIELDS = {
  event: { check: text(MAX_EVENT_LENGTH), required: true },
  key: { check: text(MAX_KEY_LENGTH) },
  trace: { check: text(256) },
  meta: { check: record },
} satisfies Record<string, Field>;

/** A range of a log, as `history` takes it. */
export const HISTORY_FIELDS = {
  epoch: { check: text(64) },
  from: { check: integer(0) },
  until: { check: integer(0) },
  limit: { check: integer(1) },
  reverse: { check: flag },
} satisfies Record<string, Field>;

const channel = matching(
  isChannelName,
  'must be a channel name: 1 to 200 of A-Z a-z 0-9 _ . : @ ~ -, no empty segment',
);
const { event, key, trace, meta } = EVENT_FIELDS;

/** Fields that any command may carry at the top level. */
const common: Record<string, Field> = {
  id: { check: id, required: true },
  ts: { check: finite },
  ref: { check: id },
  trace,
  meta,
};

const onChannel: Record<string, Field> = { ...common, channel: { check: channel, required: true } };
const namedOnChannel: Record<string, Field> = { ...onChannel, event };
const ofApplication: Record<string, Field> = { payload: { check: anything } };
const position = object({
  epoch: { check: text(64), required: true },
  seq: { check: integer(0), required: true },
});
const presenceChoice = object({ receive: { check: flag }, data: { check: anything } });

/** What one command must look like: top level and, where the protocol owns it, payload. */
export interface CommandSchema {
  readonly top: readonly (readonly [string, Field])[];
  /** Fields of the payload, where it has some; one of the application is a field of the top level. */
  readonly payload?: readonly (readonly [string, Field])[];
}

function schema(top: Record<string, Field>, payload?: Record<string, Field>): CommandSchema {
  return { top: Object.entries(top), ...(payload === undefined ? {} : { payload: Object.entries(payload) }) };
}

/** The closed set of client commands (P5), each with its shape. */
export const COMMAND_SCHEMAS: Readonly<Record<ClientCommandType, CommandSchema>> = {
  hello: schema(common, {
    versions: { check: list(integer(0), 16), required: true },
    features: { check: list(text(64), 64) },
    token: { check: text(16_384) },
    session: { check: text(2_048) },
    client: { check: object({ name: { check: text(64) }, version: { check: text(64) } }) },
  }),
  auth: schema(common, { token: { check: text(16_384), required: true } }),
  subscribe: schema(onChannel, {
    position: { check: position },
    params: { check: record },
    snapshot: { check: flag },
    presence: {
      check: (value, path, report) => (value === false ? value : presenceChoice(value, path, report)),
    },
  }),
  unsubscribe: schema(onChannel),
  publish: schema({
    ...namedOnChannel,
    key,
    ttl: { check: integer(1) },
    after: { check: id },
    ...ofApplication,
  }),
  signal: schema({ ...namedOnChannel, ...ofApplication }),
  request: schema({ ...common, channel: { check: channel }, event, ...ofApplication }),
  history: schema(onChannel, HISTORY_FIELDS),
  snapshot: schema(onChannel),
  presence: schema(onChannel, { cursor: { check: text(512) }, limit: { check: integer(1) } }),
  presence_update: schema(onChannel, { data: { check: anything } }),
  ping: schema(common),
  pong: schema({ ref: { check: id } }),
  bye: schema(common),
};
