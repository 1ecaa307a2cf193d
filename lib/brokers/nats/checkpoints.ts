import type { StoredMsg } from '@nats-io/jetstream';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import {
  CheckpointAssembly,
  readCommit,
  writeCheckpoint,
  type CheckpointCommit,
} from '../replicated/checkpoint-records.js';
import type { Checkpoint, CheckpointHead } from '../replicated/ordered-log.js';
import { apiCode, NO_MESSAGE, unavailable } from './errors.js';
import type { NatsLink } from './link.js';
import type { LogDeps } from '../replicated/log-deps.js';
import type { NatsNames } from './streams.js';

/** Checkpoints in a stream of their own: the chunks of each on a subject of its own, the commits of a partition on another. */
export class NatsCheckpoints {
  constructor(
    private readonly link: NatsLink,
    private readonly deps: LogDeps,
    private readonly names: NatsNames,
    private readonly maxRecordBytes: number,
  ) {}

  async save(partition: number, checkpoint: Checkpoint): Promise<void> {
    const id = this.deps.entropy.id();
    await writeCheckpoint(id, checkpoint, this.maxRecordBytes, (record, kind) =>
      this.publish(
        kind === 'chunk' ? this.names.chunks(partition, id) : this.names.commits(partition),
        record,
      ),
    );
  }

  async load(
    partition: number,
    accept: (head: CheckpointHead) => MaybePromise<boolean>,
  ): Promise<Checkpoint | undefined> {
    const subject = this.names.commits(partition);
    const newest = await this.get({ last_by_subj: subject });
    if (newest === undefined) return undefined;
    const found = await this.tryOne(partition, newest, accept);
    if (found !== undefined) return found;
    for (const older of (await this.commitsBefore(subject, newest.seq)).reverse()) {
      const next = await this.tryOne(partition, older, accept);
      if (next !== undefined) return next;
    }
    return undefined;
  }

  private async tryOne(
    partition: number,
    message: StoredMsg,
    accept: (head: CheckpointHead) => MaybePromise<boolean>,
  ): Promise<Checkpoint | undefined> {
    const commit = readCommit(message.data);
    return commit !== undefined && (await accept(commit.head)) ? this.assemble(partition, commit) : undefined;
  }

  private async assemble(partition: number, commit: CheckpointCommit): Promise<Checkpoint | undefined> {
    const assembly = new CheckpointAssembly(commit);
    const subject = this.names.chunks(partition, commit.id);
    let seq = commit.firstOffset;
    while (!assembly.isComplete) {
      const chunk = await this.get({ seq, next_by_subj: subject });
      if (chunk === undefined) return undefined;
      assembly.add(chunk.data);
      seq = chunk.seq + 1;
    }
    return assembly.finish();
  }

  /** The commits below a sequence, oldest first. */
  private async commitsBefore(subject: string, end: number): Promise<StoredMsg[]> {
    const found: StoredMsg[] = [];
    for (let seq = 1; ; seq = (found.at(-1)?.seq ?? 0) + 1) {
      const message = await this.get({ seq, next_by_subj: subject });
      if (message === undefined || message.seq >= end) return found;
      found.push(message);
    }
  }

  private async publish(subject: string, bytes: Uint8Array): Promise<number> {
    const expect = { streamName: this.names.checkpoints };
    try {
      const ack = await this.link.ask(() => this.link.js.publish(subject, bytes, { expect }));
      return ack.seq;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** One message; `undefined` when there is none. */
  private async get(
    query: { readonly last_by_subj: string } | { readonly seq: number; readonly next_by_subj: string },
  ): Promise<StoredMsg | undefined> {
    const { checkpoints } = this.names;
    try {
      const message = await this.link.inquire(() => this.link.jsm.streams.getMessage(checkpoints, query));
      return message ?? undefined;
    } catch (error) {
      if (apiCode(error) === NO_MESSAGE) return undefined;
      throw unavailable(error);
    }
  }
}
