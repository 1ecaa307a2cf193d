import type { SubscribeResult } from '../../protocol/messages.js';
import type { LostReason, Position } from '../../protocol/position.js';
import type { ChannelPolicy } from '../ports/channel-definition.js';
import type { BrokerLog, ReadResult } from '../ports/broker.js';
import type { ServedChannel } from './subscription.js';
import type { MaybePromise } from '../ports/maybe-promise.js';

/** A channel's log as this node knows it. */
export type ProvableChannel = Pick<ServedChannel, 'name' | 'tip' | 'proofs'>;

/** How a subscription continues (P11), and where its delivery starts. */
export interface RecoveryPlan extends Omit<SubscribeResult, 'snapshot' | 'presence'> {
  /** `seq` behind which delivery starts: the client's cursor after the answer (P14). */
  readonly cursor: number;
}

/**
 * Decides how a subscriber that was at `since` continues (P11). The broker is always asked whether the position is still
 * valid, even where this node could replay: only the broker knows that its log is the same (G6).
 *
 * @param replay whether the subscriber may be sent what it missed: otherwise the log is to it like one that keeps nothing.
 * @throws RealtimeError `unavailable` when the broker is needed and away.
 */
export function planRecovery(
  channel: ProvableChannel,
  since: Position | undefined,
  log: Pick<BrokerLog, 'read'>,
  policy: ChannelPolicy,
  replay = true,
): MaybePromise<RecoveryPlan> {
  const tip = positionOf(channel.tip);
  if (since === undefined) return { recovery: 'new', position: tip, cursor: tip.seq };
  return proof(channel, since, log).then((read) => planWithin(channel, since, read, policy, replay));
}

function planWithin(
  channel: ProvableChannel,
  since: Position,
  read: ReadResult,
  policy: ChannelPolicy,
  replay: boolean,
): RecoveryPlan {
  // The log may be ahead of this node, and this node ahead of a read that was answered earlier.
  const current = positionOf(channel.tip);
  const position =
    read.tip.epoch === current.epoch && read.tip.seq < current.seq ? current : positionOf(read.tip);
  if (!read.continuous) return lost(position, 'epoch_changed');
  if (!(policy.log.retain && replay) && since.seq !== position.seq) return lost(position, 'not_retained');
  return withinLog(since.seq, position, read.oldest, policy.replayLimit);
}

/**
 * Subscribers that resume in one turn share a read. One answer proves every position in the present epoch of the log; a
 * position of an earlier epoch needs a read of its own.
 */
async function proof(
  channel: ProvableChannel,
  since: Position,
  log: Pick<BrokerLog, 'read'>,
): Promise<ReadResult> {
  if (since.epoch === channel.tip.epoch) {
    const read = await askOnce(channel, since.epoch, since, log);
    if (read.tip.epoch === since.epoch && since.seq <= read.tip.seq) return { ...read, continuous: true };
  }
  return await askOnce(channel, `${since.epoch} ${since.seq}`, since, log);
}

function askOnce(
  channel: ProvableChannel,
  key: string,
  { epoch, seq }: Position,
  log: Pick<BrokerLog, 'read'>,
): Promise<ReadResult> {
  let read = channel.proofs.get(key);
  if (read === undefined) {
    read = log.read({ channel: channel.name, epoch, from: seq + 1, limit: 1 });
    channel.proofs.set(key, read);
    const forget = (): void => void setImmediate(() => channel.proofs.delete(key));
    read.then(forget, forget);
  }
  return read;
}

function withinLog(since: number, position: Position, oldest: number, replayLimit: number): RecoveryPlan {
  const missed = position.seq - since;
  if (missed === 0) return { recovery: 'complete', position, cursor: since };
  if (oldest > position.seq) return lost(position, 'expired');
  const limitedFrom = position.seq - replayLimit + 1;
  const from = Math.max(since + 1, oldest, limitedFrom);
  if (from === since + 1) return { recovery: 'complete', position, cursor: since };
  const cause = limitedFrom > oldest ? 'limit' : 'trimmed';
  return { recovery: 'truncated', position, from, to: position.seq, cause, cursor: from - 1 };
}

function lost(position: Position, reason: LostReason): RecoveryPlan {
  return { recovery: 'lost', position, reason, cursor: position.seq };
}

/** Where `resumed` has its place: a replay always ends with it (P12). */
export function resumedAt({ recovery, position }: RecoveryPlan): number | undefined {
  return recovery === 'complete' || recovery === 'truncated' ? position.seq : undefined;
}

/** A bare position: the tip of a channel is its newest event, whose other fields must not be sent. */
export function positionOf({ epoch, seq }: Position): Position {
  return { epoch, seq };
}
