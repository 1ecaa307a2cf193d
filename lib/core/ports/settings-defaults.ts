import { MIN_ENVELOPES_PER_FRAME } from '../../protocol/envelope.js';
import type { EngineSettings, UserOverflow } from './settings.js';

/** Kinds of settings. A `duration` is in milliseconds, an `integer` is a whole number. */
export type SettingKind = 'duration' | 'integer' | 'text' | 'flag' | 'choice';

/** Default and bounds of one setting; the bounds of a text are those of its length. */
export interface Setting<Kind extends SettingKind = SettingKind, Value = unknown> {
  readonly kind: Kind;
  readonly default: Value;
  readonly min: number;
  readonly max: number;
  /** What the error of a wrong value adds: the unit, and what to write instead. */
  readonly hint?: string;
  /** The values of a `choice`. */
  readonly choices?: readonly string[];
}

/** Settings by name, and groups of them. */
export interface SettingGroup {
  readonly [name: string]: Setting | SettingGroup;
}

/** The values of a group. The name of a duration gets its unit as a suffix: `linger` becomes `lingerMs`. */
export type ValuesOf<Group> = {
  readonly [
    Name in keyof Group & string as Group[Name] extends Setting<'duration'> ? `${Name}Ms` : Name
  ]: Group[Name] extends Setting<SettingKind, infer Value> ? Value : ValuesOf<Group[Name]>;
};

type Bounds = Partial<Pick<Setting, 'min' | 'max' | 'hint'>>;

const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** Milliseconds: at least 0, where no bounds are given. */
export function duration<T extends number | undefined>(
  value: T,
  bounds: Bounds = {},
): Setting<'duration', number | T> {
  return { kind: 'duration', default: value, min: 0, max: UNBOUNDED, ...bounds };
}

/** A whole number: at least 1, where no bounds are given. */
export function integer(value: number, bounds: Bounds = {}): Setting<'integer', number> {
  return { kind: 'integer', default: value, min: 1, max: UNBOUNDED, ...bounds };
}

/** A text of 1 to 256 characters, where no bounds are given. */
export function text<T extends string | undefined>(
  value: T,
  bounds: Bounds = {},
): Setting<'text', string | T> {
  return { kind: 'text', default: value, min: 1, max: 256, ...bounds };
}

/** One of a few words. */
export function choice<Word extends string, Default extends Word | undefined>(
  value: Default,
  choices: readonly Word[],
): Setting<'choice', Word | Default> {
  return { kind: 'choice', default: value, min: 0, max: choices.length, choices };
}

/** Names the property that holds a setting's value: see {@link ValuesOf}. */
export function valueName(name: string, { kind }: Setting): string {
  return kind === 'duration' ? `${name}Ms` : name;
}

/** Tells a setting from a group of settings. */
export function isSetting(entry: Setting | SettingGroup): entry is Setting {
  return typeof entry.kind === 'string';
}

/**
 * Default and bounds of every number of the engine. The module's options have the same names; what each one does is
 * said there, and docs/options.md lists them all.
 */
export const ENGINE_TABLE = {
  applicationName: text('application', { max: 64 }),
  helloTimeout: duration(10_000, { min: 100 }),
  handlerTimeout: duration(10_000, { min: 1 }),
  recheck: duration(0),
  maxConnectionAge: duration(0, { max: 7 * 24 * 3_600_000 }),
  heartbeat: { interval: duration(25_000, { min: 1_000 }), timeout: duration(10_000, { min: 100 }) },
  retry: {
    base: duration(500, { min: 1 }),
    max: duration(20_000, { min: 1 }),
    firstSpread: duration(2_000),
    stable: duration(10_000),
  },
  limits: {
    maxFrameBytes: integer(256 * 1024, { min: 1_024 }),
    maxMessageBytes: integer(64 * 1024, { min: 1_024 }),
    maxEnvelopesPerFrame: integer(256, { min: MIN_ENVELOPES_PER_FRAME }),
    maxChannels: integer(128),
    ratePerSecond: integer(50),
    dedupe: duration(5 * 60_000, { min: 1_000 }),
    burst: integer(100),
    bytesPerSecond: integer(512 * 1024),
    userRatePerSecond: integer(200),
    answerBytesPerSecond: integer(1024 * 1024),
    userAnswerBytesPerSecond: integer(4 * 1024 * 1024),
    freeSubscribesEvery: duration(60_000, { min: 1_000 }),
    maxInFlight: integer(64),
    maxQueuedCommands: integer(1_024),
    maxQueuedBytes: integer(1_024 * 1_024, { min: 1_024 }),
    maxWaitingCommandBytes: integer(32 * 1024 * 1024, { min: 1_024 }),
    framesPerCommand: integer(8),
    maxUnfinishedBytes: integer(32 * 1024 * 1024, { min: 1_024 }),
    deliveriesPerCommand: integer(64),
    maxVerifications: integer(1_000),
    maxVerificationsPerAddress: integer(100),
    connectsPerSecond: integer(100),
    nodeConnectsPerSecond: integer(500, { min: 0 }),
    nodeReturnsPerSecond: integer(1_500, { min: 0 }),
    admissionWait: duration(5_000, { max: 60_000 }),
    maxWaitingBytes: integer(16 * 1024 * 1024, { min: 64 * 1024 }),
    maxRateBuckets: integer(100_000, { min: 1_000 }),
    maxConnectionsPerAddress: integer(1_000),
    maxConnectionsPerUser: integer(100, { min: 0 }),
    whenUserIsFull: choice<UserOverflow, UserOverflow>('refuse', ['refuse', 'end_oldest']),
    ipv6Prefix: integer(64, { min: 32, max: 128 }),
    maxConnections: integer(100_000),
    maxParamsBytes: integer(4 * 1024, { min: 64 }),
    maxPresenceBytes: integer(4 * 1024, { min: 64 }),
    maxRetainedBytes: integer(4 * 1024 * 1024, { min: 1_024 }),
    maxRetainedBytesPerUser: integer(32 * 1024 * 1024, { min: 1_024 }),
    maxPageBytes: integer(256 * 1024, { min: 1_024 }),
    maxAnswerBytes: integer(1024 * 1024, { min: 1_024 }),
    maxAppendBytes: integer(64 * 1024 * 1024, { min: 64 * 1024 }),
    maxDistinctChannels: integer(5_000),
    distinctChannelsWindow: duration(10 * 60_000, { min: 1_000 }),
    maxServedChannels: integer(200_000),
    maxEventBytes: integer(1024 * 1024, { min: 1_024 }),
  },
  abuse: {
    throttleAfter: integer(20),
    closeAfter: integer(200),
    window: duration(10_000, { min: 1 }),
    ban: duration(60_000),
    authFailures: integer(100),
    authFailureWindow: duration(60_000, { min: 1_000 }),
    authHold: duration(5_000, { min: 1_000 }),
    authHoldMax: duration(5 * 60_000, { min: 1_000, max: 30 * 60_000 }),
  },
  circuits: {
    failures: integer(0, { min: 0 }),
    clients: integer(3),
    share: integer(50, { max: 100 }),
    window: duration(10_000, { min: 1_000 }),
    clientFailures: integer(10, { min: 0 }),
    openFor: duration(5_000, { min: 100 }),
    maxOpenFor: duration(60_000, { min: 100 }),
  },
  outbox: {
    maxBytes: integer(1024 * 1024, { min: 1_024 }),
    maxMessages: integer(4_096),
    maxBytesPerUser: integer(16 * 1024 * 1024, { min: 64 * 1024 }),
    maxBytesPerNode: integer(64 * 1024 * 1024, { min: 1024 * 1024 }),
  },
  maxFlushDelay: duration(20, { max: 1_000 }),
  linger: duration(5_000),
  ringSize: integer(256),
  ringBytes: integer(256 * 1024, { min: 1_024 }),
  ringBytesPerNode: integer(64 * 1024 * 1024, { min: 64 * 1024 }),
  presenceLease: duration(30_000, { min: 1_000 }),
};

/** Defaults of everything but identity and secrets. */
export const ENGINE_DEFAULTS: Omit<EngineSettings, 'nodeId' | 'ticketSecret'> = {
  ...defaultsOf(ENGINE_TABLE),
  anonymous: false,
  authRequiredAheadMs: 30_000,
  drainSpreadMs: 5_000,
};

/** The values of a group where nothing is set. */
export function defaultsOf<Group extends SettingGroup>(group: Group): ValuesOf<Group> {
  const values = Object.entries(group).map(([name, entry]) =>
    isSetting(entry) ? [valueName(name, entry), entry.default] : [name, defaultsOf(entry)],
  );
  return Object.fromEntries(values) as ValuesOf<Group>;
}
