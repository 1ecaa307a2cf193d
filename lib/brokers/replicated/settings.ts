import { systemClock, type Clock } from '../../core/ports/clock.js';
import { systemEntropy, type Entropy } from '../../core/ports/entropy.js';
import type { MachineSettings } from '../machine/settings.js';

/** Options of every broker over an ordered log. What decides outcomes is fixed by the first node of a log. */
export interface ReplicatedOptions {
  /**
   * Most bytes of memory that a node takes for channels, their events and ids, over all partitions. The same on all nodes. Default
   * 256 MiB.
   */
  readonly maxBytes?: number;
  /** Most bytes of `maxBytes` that remembered ids take. The same on all nodes. Default a quarter of `maxBytes`. */
  readonly maxIdBytes?: number;
  /** How long an unused channel keeps its number, in milliseconds. The same on all nodes. Default 30 days. */
  readonly headMs?: number;
  /** Between two signs of life of a node, in milliseconds. Default 1 000. */
  readonly heartbeatMs?: number;
  /** How long a node counts as alive after its last sign of life, in milliseconds. Default 15 000. */
  readonly nodeTtlMs?: number;
  /** How long a node's knowledge of control records counts as current, in milliseconds. Default 10 000. */
  readonly controlMaxAgeMs?: number;
  /** How long `control` waits for the confirmations of all nodes, in milliseconds. Default 5 000. */
  readonly controlTimeoutMs?: number;
  /** After so long without an outcome a command fails, in milliseconds. Default 3 000. */
  readonly commandTimeoutMs?: number;
  /** Most commands of this node that wait for their outcome. Default 20 000. */
  readonly maxQueued?: number;
  /** Most bytes of these commands. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** Records after which a checkpoint is stored, per partition. Default 20 000. */
  readonly checkpointEvery?: number;
  /** Clock of the node; for tests. */
  readonly clock?: Clock;
  /** Source of random names; for tests. */
  readonly entropy?: Entropy;
  /** Called with what the operator should know before the broker has started. */
  readonly onWarning?: (message: string) => void;
}

/** {@link ReplicatedOptions} with every default. */
export interface ReplicatedSettings {
  readonly machine: MachineSettings;
  readonly heartbeatMs: number;
  readonly nodeTtlMs: number;
  readonly controlMaxAgeMs: number;
  readonly controlTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly checkpointEvery: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly onWarning: (message: string) => void;
}

const DAY_MS = 86_400_000;

/**
 * @param broker Begins the texts of errors.
 * @param partitions over which the bounds of memory are divided
 * @throws RangeError for an option that cannot be; it names the option
 */
export function replicatedSettings(
  broker: string,
  options: ReplicatedOptions,
  partitions: number,
): ReplicatedSettings {
  const positive = (name: keyof ReplicatedOptions, given: number | undefined, fallback: number): number => {
    const value: unknown = given ?? fallback;
    if (typeof value === 'number' && value > 0) return value;
    throw new RangeError(`${broker}: \`${name}\` must be a positive number, not ${JSON.stringify(value)}.`);
  };
  const maxBytes = positive('maxBytes', options.maxBytes, 256 * 1024 * 1024);
  const maxIdBytes = positive('maxIdBytes', options.maxIdBytes, maxBytes / 4);
  if (maxIdBytes > maxBytes)
    throw new RangeError(
      `${broker}: \`maxIdBytes\` must be at most \`maxBytes\` (${maxBytes}), not ${maxIdBytes}.`,
    );
  const heartbeatMs = positive('heartbeatMs', options.heartbeatMs, 1_000);
  const commandTimeoutMs = positive('commandTimeoutMs', options.commandTimeoutMs, 3_000);
  const controlMaxAgeMs = positive('controlMaxAgeMs', options.controlMaxAgeMs, 10_000);
  if (controlMaxAgeMs < heartbeatMs + commandTimeoutMs) {
    throw new RangeError(
      `${broker}: \`controlMaxAgeMs\` must be at least \`heartbeatMs\` and \`commandTimeoutMs\` together ` +
        `(${heartbeatMs + commandTimeoutMs}), not ${controlMaxAgeMs}: otherwise one slow answer withholds events.`,
    );
  }
  const nodeTtlMs = positive('nodeTtlMs', options.nodeTtlMs, 15_000);
  if (nodeTtlMs < 2 * heartbeatMs) {
    throw new RangeError(
      `${broker}: \`nodeTtlMs\` must be at least twice \`heartbeatMs\` (${2 * heartbeatMs}), not ${nodeTtlMs}: ` +
        'otherwise one late sign of life ends the node.',
    );
  }
  return {
    machine: {
      maxBytes: Math.floor(maxBytes / partitions),
      maxIdBytes: Math.floor(maxIdBytes / partitions),
      idShare: 0.1,
      maxIdleChannels: Math.max(1, Math.floor(1_000_000 / partitions)),
      headMs: positive('headMs', options.headMs, 30 * DAY_MS),
      restrictionsEndBy: 'ts',
    },
    heartbeatMs,
    nodeTtlMs,
    controlMaxAgeMs,
    controlTimeoutMs: positive('controlTimeoutMs', options.controlTimeoutMs, 5_000),
    commandTimeoutMs,
    maxQueued: positive('maxQueued', options.maxQueued, 20_000),
    maxQueuedBytes: positive('maxQueuedBytes', options.maxQueuedBytes, 64 * 1024 * 1024),
    checkpointEvery: positive('checkpointEvery', options.checkpointEvery, 20_000),
    clock: options.clock ?? systemClock,
    entropy: options.entropy ?? systemEntropy,
    onWarning: options.onWarning ?? (() => undefined),
  };
}
