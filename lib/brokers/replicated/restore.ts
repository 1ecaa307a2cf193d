import { readWireValue } from '../../protocol/wire-value.js';
import type { Genesis } from '../machine/commands.js';
import { Partition, VERSIONS, type PartitionState } from '../machine/partition.js';
import { LogSetupError, type Checkpoint, type LogBounds, type OrderedLog } from './ordered-log.js';
import { decodeRecord } from './record-codec.js';
import { stoppedText, type Restored } from './replica.js';
import { compareTail, tailOf } from './tail.js';

/** What stands beside a checkpoint. */
interface About {
  readonly version: number;
  readonly term: number;
  /** What the outcomes of the log depend on, beside its records: as {@link settingsText}. */
  readonly settings: string;
}

/** A checkpoint of a partition. */
export function checkpointOf(
  partition: Partition,
  genesis: Genesis,
  incarnation: string,
  term: number,
): Checkpoint {
  const about: About = { version: partition.version, term, settings: settingsText(genesis) };
  return {
    incarnation,
    offset: partition.position + 1,
    about: Buffer.from(JSON.stringify(about)),
    bytes: Buffer.from(JSON.stringify(partition.save())),
  };
}

/**
 * Makes the state of a partition: from the newest checkpoint that the log still agrees with, or empty where the log has all of its
 * records. Events are read again from the log. Where it has neither, there is no state that other nodes would agree with, and one that
 * began anew would give positions that clients hold to other events.
 *
 * @param local The monotonic clock: events that were stored before the node started count as stored now, as a node cannot know better.
 * @throws LogUnavailableError
 * @throws LogSetupError where the log cannot be continued; it says what to do
 */
export async function restorePartition(
  log: OrderedLog,
  index: number,
  bounds: LogBounds,
  genesis: Genesis,
  local: () => number,
): Promise<Restored> {
  const checkpoint = await log.loadCheckpoint(index, (head) => isUsable(head, bounds));
  if (checkpoint !== undefined) {
    const found = await fromCheckpoint(log, index, checkpoint, genesis, local);
    if (found !== undefined) return found;
  }
  if (bounds.first > log.firstOffset)
    throw new LogSetupError(
      `partition ${index} of the log has dropped its beginning, and no checkpoint continues it: ` +
        'delete the log with its checkpoints, or give all nodes another name of it; clients then begin anew',
    );
  return { partition: new Partition(genesis), offset: bounds.first, term: 0 };
}

function isUsable(
  { incarnation, offset, about }: Pick<Checkpoint, 'incarnation' | 'offset' | 'about'>,
  bounds: LogBounds,
): boolean {
  if (incarnation !== bounds.incarnation || offset < bounds.first || offset > bounds.end) return false;
  return VERSIONS.includes(aboutOf(about)?.version ?? -1);
}

function aboutOf(bytes: Uint8Array): About | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as About;
  } catch {
    return undefined;
  }
}

async function fromCheckpoint(
  log: OrderedLog,
  index: number,
  { incarnation, offset, about, bytes }: Checkpoint,
  genesis: Genesis,
  local: () => number,
): Promise<Restored | undefined> {
  const found = aboutOf(about);
  if (found?.settings !== settingsText(genesis)) throw new LogSetupError(stoppedText('settings'));
  const state = readWireValue(Buffer.from(bytes).toString()) as PartitionState;
  const partition = Partition.restored(genesis, state);
  // `unknown`: all that it stands for is dropped by the log, and nothing there says otherwise.
  if ((await compareTail(log, tailOf(index, incarnation, partition))) === 'other') return undefined;
  const from = partition.oldestMissing;
  if (from !== undefined) await fill(log, index, partition, incarnation, from, local);
  partition.fillRest();
  return { partition, offset, term: found.term };
}

/** Reads the events that a checkpoint does not have. */
async function fill(
  log: OrderedLog,
  index: number,
  partition: Partition,
  incarnation: string,
  from: number,
  local: () => number,
): Promise<void> {
  const { first } = await log.bounds(index);
  const last = partition.position;
  await new Promise<void>((resolve, reject) => {
    const reading = log.consume(
      index,
      { incarnation, offset: Math.max(first, from), term: 0 },
      {
        onRecords: (records) => {
          for (const record of records) {
            if (record.offset <= last)
              partition.fill({ ...record, content: decodeRecord(record.bytes) }, local());
            if (record.offset >= last) {
              reading.close();
              return resolve();
            }
          }
        },
        onEnd: (end) => {
          if (end.kind === 'failed') reject(end.error);
          else resolve();
        },
      },
    );
  });
}

/** The same for two nodes whose outcomes are: what a genesis says, but for the version, which the log itself changes. */
function settingsText({ layout, partitions, hash, settings }: Genesis): string {
  const sorted = Object.entries(settings).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify([layout, partitions, hash, sorted]);
}
