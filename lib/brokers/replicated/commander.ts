import { RealtimeError } from '../../protocol/realtime-error.js';
import { fnv1a } from '../common/fnv1a.js';
import type { Command, CommandKind, OutcomeMap } from '../machine/commands.js';
import type { Settle, WriteFailure } from './partition-writer.js';

/** Writes a command to a partition. */
export type Write = (partition: number, command: Command, settle: Settle) => void;

/** The partition of presence, holds, control records and the signs of life of nodes: leases of nodes have to be known where they keep something. */
export const STATE_PARTITION = 0;

/**
 * Writes a command that is not an append, and waits for its outcome.
 *
 * @throws RealtimeError `unavailable`, `timeout` where it may have been done, `message_too_large`
 */
export function perform<K extends Exclude<CommandKind, 'append'>>(
  write: Write,
  partition: number,
  command: Command<K>,
): Promise<OutcomeMap[K]> {
  return new Promise((resolve, reject) => {
    write(partition, command as Command, (outcome) => {
      if (typeof outcome === 'string') return reject(failed(outcome));
      if ('code' in outcome && outcome.code === 'skipped') return reject(failed('unavailable'));
      if ('code' in outcome && outcome.code === 'unavailable') {
        const { message, retryAfterMs } = outcome;
        return reject(new RealtimeError('unavailable', message, { retryAfterMs }));
      }
      resolve(outcome as OutcomeMap[K]);
    });
  });
}

/** What a caller is answered for a command that got no outcome. */
export function failed(failure: WriteFailure): RealtimeError {
  if (failure === 'too_large')
    return new RealtimeError('message_too_large', 'The event is larger than a record of the log may be');
  if (failure === 'timeout') return new RealtimeError('timeout', 'The log did not answer in time');
  return new RealtimeError('unavailable', 'The log cannot be written at the moment; try again later');
}

/** The partition of a channel's events: FNV-1a over all but that of the state, where there are others. */
export function partitionOf(channel: string, partitions: number): number {
  if (partitions === 1) return STATE_PARTITION;
  const hash = fnv1a(channel);
  return 1 + (((hash ^ (hash >>> 16)) >>> 0) % (partitions - 1));
}

/** Names the function of {@link partitionOf} in the genesis of a log. */
export const HASH = 'fnv1a-1';

/** Name of the lease of a node: a node that starts again has another one, and does not keep what the one before it kept. */
export function leaseOf(node: string, start: string): string {
  return `${node}#${start}`;
}

/** The node of a lease. */
export function nodeOf(lease: string): string {
  return lease.slice(0, lease.lastIndexOf('#'));
}
