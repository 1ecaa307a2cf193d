import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { LogSetupError, type LogWeakness } from '../replicated/ordered-log.js';
import { apiCode, messageOf, NO_STREAM, STREAM_NAME_IN_USE } from './errors.js';
import type { NatsLink } from './link.js';
import type { NatsLogSettings } from './options.js';

const NANOS_PER_MS = 1_000_000;
/** Beside the limit for the records themselves: head of a checkpoint's record. */
const UNLIMITED = -1;

/** Names of what a log has in NATS. */
export class NatsNames {
  constructor(private readonly name: string) {}

  stream(partition: number): string {
    return `${this.name}-log-${partition}`;
  }

  subject(partition: number): string {
    return `${this.name}.log.${partition}`;
  }

  get checkpoints(): string {
    return `${this.name}-checkpoints`;
  }

  /** Subject of the chunks of one checkpoint. */
  chunks(partition: number, id: string): string {
    return `${this.name}.checkpoints.${partition}.chunks.${id}`;
  }

  commits(partition: number): string {
    return `${this.name}.checkpoints.${partition}.commits`;
  }

  get allCheckpoints(): string {
    return `${this.name}.checkpoints.>`;
  }

  get signals(): string {
    return `${this.name}.signals`;
  }
}

/** What the log asks of a stream. */
type Wanted = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'num_replicas'
  | 'max_age'
  | 'max_bytes'
  | 'storage'
  | 'retention'
  | 'discard'
  | 'deny_delete'
  | 'deny_purge'
  | 'max_msgs'
  | 'max_msgs_per_subject'
  | 'max_msg_size'
>;

/**
 * Makes the streams that are missing and checks those that are there.
 *
 * @returns what weakens them
 * @throws LogSetupError that says for each stream what to change
 */
export async function prepareStreams(
  link: NatsLink,
  names: NatsNames,
  settings: NatsLogSettings,
): Promise<readonly LogWeakness[]> {
  const problems: string[] = [];
  for (const wanted of wantedStreams(names, settings)) {
    const { config } = await ensureStream(link, wanted, settings);
    problems.push(...mismatches(config, wanted));
  }
  const more = await infoOf(link, names.stream(settings.partitions)).catch(() => undefined);
  if (more !== undefined)
    problems.push(
      `stream ${names.stream(settings.partitions)} exists, so there are more partitions than \`partitions\` says: set it to their number, on all nodes`,
    );
  if (problems.length > 0) throw new LogSetupError(`natsBroker: ${problems.join('; ')}.`);
  return settings.replicas > 1
    ? []
    : [
        {
          problem:
            'Each record is kept by one server of NATS: its loss, or a power failure within its sync_interval, loses acknowledged events.',
          remedy: 'Run three servers and set `replicas` to 3.',
        },
      ];
}

function* wantedStreams(names: NatsNames, settings: NatsLogSettings): Generator<Wanted> {
  for (let partition = 0; partition < settings.partitions; partition++) {
    yield wantedStream(
      names.stream(partition),
      names.subject(partition),
      settings.maxPartitionBytes,
      settings,
    );
  }
  yield wantedStream(names.checkpoints, names.allCheckpoints, settings.maxCheckpointBytes, settings);
}

function wantedStream(name: string, subject: string, maxBytes: number, settings: NatsLogSettings): Wanted {
  return {
    name,
    subjects: [subject],
    num_replicas: settings.replicas,
    max_age: settings.retentionMs * NANOS_PER_MS,
    max_bytes: maxBytes,
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    // What was acknowledged cannot be taken out by mistake.
    deny_delete: true,
    deny_purge: true,
    max_msgs: UNLIMITED,
    max_msgs_per_subject: UNLIMITED,
    max_msg_size: UNLIMITED,
  };
}

/** A stream that another node makes at this moment has no leader yet, and drops the question. */
function infoOf(link: NatsLink, name: string): Promise<StreamInfo> {
  return link.inquire(() => link.jsm.streams.info(name));
}

async function ensureStream(
  link: NatsLink,
  wanted: Wanted,
  { createStreams, replicas, requestTimeoutMs }: NatsLogSettings,
): Promise<StreamInfo> {
  try {
    return await infoOf(link, wanted.name);
  } catch (error) {
    if (apiCode(error) !== NO_STREAM) throw askError(wanted.name, error);
    if (!createStreams)
      throw new LogSetupError(
        `natsBroker: the stream ${wanted.name} is missing. Make it (subjects ${wanted.subjects.join(', ')}, ${replicas} replicas, file storage), or set \`createStreams\` to true.`,
      );
  }
  try {
    return await link.jsm.streams.add(wanted);
  } catch (error) {
    // Another node made it at the same time, with other options.
    if (apiCode(error) === STREAM_NAME_IN_USE) return await infoOf(link, wanted.name);
    throw new LogSetupError(
      `natsBroker: the stream ${wanted.name} cannot be made: ${messageOf(error)}. ${
        replicas > 1
          ? `It needs ${replicas} servers in a cluster with JetStream; for a single server set \`replicas\` to 1.`
          : 'Check the permissions of the account and the storage that its JetStream limits leave.'
      } It was waited for ${requestTimeoutMs} ms.`,
      { cause: error },
    );
  }
}

function askError(name: string, error: unknown): LogSetupError {
  return new LogSetupError(
    `natsBroker: JetStream does not answer about the stream ${name}: ${messageOf(error)}. Start the servers with JetStream, enable it for the account, and permit the account the subjects that docs/nats.md lists.`,
    { cause: error },
  );
}

/** Where a stream that exists breaks what the log promises. */
function mismatches(found: StreamConfig, wanted: Wanted): string[] {
  const problems: string[] = [];
  const differs = (isWrong: boolean, field: string, want: string): void => {
    if (isWrong)
      problems.push(`${field} of stream ${found.name} must be ${want}: change it with \`nats stream edit\``);
  };
  differs(!found.subjects?.includes(wanted.subjects[0] ?? ''), 'subjects', wanted.subjects.join(', '));
  differs(found.storage !== wanted.storage, 'storage', wanted.storage);
  differs(found.retention !== wanted.retention, 'retention', wanted.retention);
  differs(found.discard !== wanted.discard, 'discard', wanted.discard);
  differs(
    found.num_replicas < wanted.num_replicas,
    'num_replicas',
    `at least ${wanted.num_replicas}, as \`replicas\` says`,
  );
  differs(
    found.max_age !== 0 && found.max_age < wanted.max_age,
    'max_age',
    'at least what `retentionMs` says',
  );
  differs(found.max_msgs > 0, 'max_msgs', 'unlimited');
  differs(found.max_msgs_per_subject > 0, 'max_msgs_per_subject', 'unlimited');
  differs(found.sealed, 'sealed', 'false');
  differs(found.mirror !== undefined || (found.sources ?? []).length > 0, 'mirror and sources', 'empty');
  differs(found.no_ack === true, 'no_ack', 'false');
  return problems;
}
