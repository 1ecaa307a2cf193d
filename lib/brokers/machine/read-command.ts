import type { Command, CommandKind } from './commands.js';

type Check = (value: unknown) => boolean;
type Fields = Readonly<Record<string, Check>>;

const text: Check = (value) => typeof value === 'string';
const amount: Check = (value) => typeof value === 'number' && value >= 0 && value < Infinity;
const whole: Check = (value) => Number.isSafeInteger(value);
const flag: Check = (value) => typeof value === 'boolean';
const anything: Check = () => true;
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const either =
  (...values: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && values.includes(value);
const record: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields beyond those that are named are let pass: a later version may have more. */
function object(fields: Fields): Check {
  const checks = Object.entries(fields);
  return (value) =>
    record(value) && checks.every(([name, check]) => check((value as Record<string, unknown>)[name]));
}

const ENTRY = object({
  channel: text,
  member: text,
  device: text,
  generation: whole,
  data: anything,
});
const HOLD = object({ channel: text, member: maybe(text), holder: text, generation: whole });
const REQUEST = object({
  channel: text,
  producer: text,
  fingerprint: text,
  after: maybe(text),
  bytes: amount,
  event: object({
    id: text,
    event: text,
    user: maybe(text),
    key: maybe(text),
    ttl: maybe(amount),
    trace: maybe(text),
    meta: maybe(record),
  }),
  policy: object({ retain: flag, size: amount, maxBytes: amount, ttlMs: amount, dedupeMs: amount }),
});
const SUBJECT = object({ of: text, id: text });
const RESTRICTION = { act: text, whom: SUBJECT, channel: maybe(text), by: maybe(text) };
const LASTING = { ...RESTRICTION, forMs: maybe(amount) };
/** Of the records that are kept; all others are only handed to the nodes. */
const KEPT_CONTROLS: Readonly<Record<string, Check>> = {
  ban: object({ user: text, forMs: maybe(amount), by: maybe(text) }),
  unban: object({ user: text }),
  restrict: object(LASTING),
  lift: object(RESTRICTION),
  abuse: object({ of: text, id: text, forMs: amount }),
};
const CONTROL: Check = (value) => {
  if (!record(value)) return false;
  const { kind } = value as { kind?: unknown };
  if (typeof kind !== 'string') return false;
  return !Object.hasOwn(KEPT_CONTROLS, kind) || KEPT_CONTROLS[kind]?.(value) === true;
};
const LEASED = { leaseMs: amount, node: maybe(text) };
const SETTINGS = object({
  maxBytes: amount,
  maxIdBytes: amount,
  idShare: amount,
  maxIdleChannels: amount,
  headMs: amount,
  restrictionsEndBy: either('now', 'ts'),
});

const COMMANDS: Readonly<Record<CommandKind, Check>> = {
  genesis: object({
    layout: whole,
    partitions: whole,
    hash: text,
    incarnation: text,
    version: whole,
    settings: SETTINGS,
  }),
  hello: object({ node: text, marks: listOf(object({ offset: whole, digest: text })) }),
  activate: object({ version: whole }),
  append: object({ requests: listOf(REQUEST) }),
  erase: object({ channel: text, seqs: listOf(whole) }),
  clear: object({ channel: text }),
  cut: object({ channel: text, keep: whole }),
  pin: object({ channel: text, always: maybe(flag) }),
  unpin: object({ channel: text }),
  enter: object({ entry: ENTRY, ...LEASED }),
  update: object({ entry: ENTRY }),
  leave: object({ entry: ENTRY, graceMs: amount }),
  renew: object({ entries: listOf(ENTRY), ...LEASED }),
  hold: object({ holds: listOf(HOLD), ...LEASED }),
  release: object({ hold: HOLD, graceMs: amount }),
  take: object({ node: text, limit: amount }),
  done: object({ ids: listOf(text) }),
  control: object({ message: CONTROL }),
  heartbeat: object({ node: text, leaseMs: amount, versions: listOf(whole) }),
  goodbye: object({ node: text }),
  tick: record,
};

/**
 * What a log holds is not what was meant to be written there: another program may write, and a later version has commands that this one
 * does not know.
 *
 * @returns `undefined` for what is no command.
 */
export function readCommand(value: unknown): Command | undefined {
  if (!record(value)) return undefined;
  const { kind } = value as { kind?: unknown };
  if (typeof kind !== 'string' || !Object.hasOwn(COMMANDS, kind)) return undefined;
  return COMMANDS[kind as CommandKind](value) ? (value as Command) : undefined;
}
