import type { Redis } from 'ioredis';
import { systemClock } from '../../core/ports/clock.js';
import { systemEntropy, type Entropy } from '../../core/ports/entropy.js';
import { optionErrorOf, type OptionError } from '../../protocol/validation/option-error.js';
import type { RedisBrokerOptions } from './options.js';

/** The options with every default filled in, without those that say where Redis is. */
export type RedisSettings = Readonly<ReturnType<typeof redisSettings>>;

const DAY_MS = 24 * 60 * 60_000;
/** How often a replica says how far it is; Redis has no setting for it. */
const ACKNOWLEDGE_MS = 1_000;
export const MAX_PARTITIONS = 4_096;
/** Of a deployment that begins. On 16 masters the busiest has at most 1.17 times the mean of them; of 64 it is up to twice the mean. */
export const NEW_PARTITIONS = 1_024;
/** Most bytes of one event or signal as it is sent; also of the events of one script call. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** What the publisher of a larger one is told. */
export const TOO_LARGE = `Redis takes ${MAX_MESSAGE_BYTES} bytes of one event or signal at most: send a reference instead`;

/**
 * @param caller the function that the application called, for errors.
 * @throws RangeError for an option that is out of range; it names the option and what it must be.
 */
export function redisSettings(options: RedisBrokerOptions, caller = 'redisBroker') {
  const optionError = optionErrorOf(caller);
  const replicated = typeof options.durability === 'object' ? options.durability : undefined;
  const number = (path: string, value: number | undefined, fallback: number, max = Infinity): number => {
    const given = value ?? fallback;
    if (given > 0 && given <= max) return given;
    throw optionError(
      path,
      `must be a positive number${max === Infinity ? '' : ` of at most ${max}`}, not ${given}`,
    );
  };
  const whole = (path: string, value: number | undefined, fallback: number, max = Infinity): number => {
    const given = number(path, value, fallback, max);
    if (Number.isInteger(given)) return given;
    throw optionError(path, `must be a whole number, not ${given}`);
  };
  const { durability = 'broker', entropy = systemEntropy } = options;
  if (durability !== 'broker' && replicated?.level !== 'replicated') {
    throw optionError('durability', "must be 'broker' or { level: 'replicated' }");
  }
  const heartbeatMs = number('heartbeatMs', options.heartbeatMs, 1_000);
  const commandTimeoutMs = number('commandTimeoutMs', options.commandTimeoutMs, 3_000);
  const controlMaxAgeMs = number('controlMaxAgeMs', options.controlMaxAgeMs, 10_000);
  if (controlMaxAgeMs < heartbeatMs + commandTimeoutMs) {
    throw optionError(
      'controlMaxAgeMs',
      `must be at least \`heartbeatMs\` and \`commandTimeoutMs\` together (${heartbeatMs + commandTimeoutMs}), not ` +
        `${controlMaxAgeMs}: otherwise one slow answer withholds events`,
    );
  }
  const { controlReplicas } = options;
  if (controlReplicas !== undefined && !(Number.isInteger(controlReplicas) && controlReplicas >= 0))
    throw optionError('controlReplicas', `must be a whole number of at least 0, not ${controlReplicas}`);
  const watched = isWatched(options);
  const replicasProve = controlReplicas !== 0 && (watched || controlReplicas !== undefined);
  const proofMs = heartbeatMs + commandTimeoutMs + (replicasProve ? heartbeatMs + ACKNOWLEDGE_MS : 0);
  if (replicasProve && controlMaxAgeMs < proofMs)
    throw optionError(
      'controlMaxAgeMs',
      `must be at least ${proofMs} with \`controlReplicas\`, not ${controlMaxAgeMs}: replicas acknowledge once a second, and a ` +
        'heartbeat is proved by the next or the one after it',
    );
  return {
    keyPrefix: prefix(options.keyPrefix ?? 'rt', optionError),
    application: applicationName(options.application, optionError),
    /** `undefined`: those of the deployment, or {@link NEW_PARTITIONS} where there is none yet. */
    partitions:
      options.partitions === undefined
        ? undefined
        : whole('partitions', options.partitions, NEW_PARTITIONS, MAX_PARTITIONS),
    replicated:
      replicated === undefined
        ? undefined
        : {
            replicas: whole('durability.replicas', replicated.replicas, 1),
            timeoutMs: whole('durability.timeoutMs', replicated.timeoutMs, 1_000),
          },
    connectTimeoutMs: number('connectTimeoutMs', options.connectTimeoutMs, 10_000),
    commandTimeoutMs,
    maxReconnectMs: number('maxReconnectMs', options.maxReconnectMs, 200),
    maxQueued: number('maxQueued', options.maxQueued, 20_000),
    maxQueuedBytes: number('maxQueuedBytes', options.maxQueuedBytes, 64 * 1024 * 1024),
    maxMessageQueueBytes: number('maxMessageQueueBytes', options.maxMessageQueueBytes, 16 * 1024 * 1024),
    maxBatch: whole('maxBatch', options.maxBatch, 256, 1_000),
    maxBatchBytes: number('maxBatchBytes', options.maxBatchBytes, 1024 * 1024, MAX_MESSAGE_BYTES),
    maxIdsPerProducer: whole('maxIdsPerProducer', options.maxIdsPerProducer, 50_000),
    pipelineDepth: whole('pipelineDepth', options.pipelineDepth, 4),
    maxReadBytes: whole('maxReadBytes', options.maxReadBytes, 256 * 1024),
    tipCheckMs: number('tipCheck.intervalMs', options.tipCheck?.intervalMs, 25_000),
    unsubscribeLingerMs: number('unsubscribeLingerMs', options.unsubscribeLingerMs, 1_000),
    headMs: whole('headMs', options.headMs, 30 * DAY_MS),
    heartbeatMs,
    controlMaxAgeMs,
    /** Longest time between two proofs where all is well. */
    proofMs,
    /** Whether Sentinels name the master. */
    isWatched: watched,
    /** `undefined`: half of those that the master has had. */
    controlReplicas: controlReplicas ?? (watched ? undefined : 0),
    nodeTtlMs: whole('nodeTtlMs', options.nodeTtlMs, 15_000),
    sweepMs: number('sweepMs', options.sweepMs, 1_000),
    controlTimeoutMs: number('controlTimeoutMs', options.controlTimeoutMs, 5_000),
    onWarning: options.onWarning ?? warn,
    clock: options.clock ?? systemClock,
    entropy,
    epochs: new EpochNames(entropy),
    server: new ServerView(),
  };
}

/** Whether Sentinels say which server is the master: then an old one may not know that it is no longer. */
function isWatched({ client, sentinel }: RedisBrokerOptions): boolean {
  return (
    sentinel !== undefined || (client !== undefined && !client.isCluster && hasSentinels(client as Redis))
  );
}

function hasSentinels({ options }: Redis): boolean {
  return options.sentinels != null && options.sentinels.length > 0;
}

/** No braces: they would choose the slot of a key in place of the broker. */
function prefix(value: string, optionError: OptionError): string {
  if (/^[^{}\s]{1,64}$/.test(value)) return value;
  throw optionError('keyPrefix', 'must be 1–64 characters without braces and blanks');
}

function applicationName(value: string | undefined, optionError: OptionError): string | undefined {
  if (value === undefined || (value.length >= 1 && value.length <= 64)) return value;
  throw optionError('application', 'must be 1–64 characters');
}

function warn(message: string): void {
  process.emitWarning(message, { code: 'NESTJS_REALTIME_REDIS' });
}

/** What was seen of the server last, as scripts take it. */
export class ServerView {
  /** None, or the last one of a script that compares the identity of the data. */
  args: readonly string[] = [];

  note(found: string): void {
    this.args = found === '' ? [] : [`$server ${found}`];
  }
}

/**
 * Names for epochs that a script may have to begin. Almost none is used, so randomness for each would be wasted: a name is
 * one random token per broker, and a number.
 */
export class EpochNames {
  private readonly start: string;
  private count = 0;

  constructor(entropy: Entropy) {
    this.start = entropy.token();
  }

  /** A name that no other call returns, on this broker or another. */
  next(): string {
    this.count += 1;
    return `${this.start}-${this.count.toString(36)}`;
  }
}
