import { createHash } from 'node:crypto';
import { MAX_ABOUT_BYTES, type Checkpoint, type CheckpointHead } from './ordered-log.js';

/**
 * How a checkpoint stands in a log of records: its bytes in chunks, in order, and behind them a commit record, without which they are
 * nothing. Several nodes may save at the same time, so each record names its checkpoint.
 */
const CHUNK = 1;
const COMMIT = 2;
const DIGEST_BYTES = 32;
/** Of a chunk, beside its payload: kind, length of the id, index. */
const CHUNK_HEAD_BYTES = 6;
const MAX_ID_BYTES = 64;
/** Least payload of a chunk for which records are worth their heads. */
const MIN_CHUNK_BYTES = 1_024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The record that makes a checkpoint valid. */
export interface CheckpointCommit {
  readonly id: string;
  readonly head: CheckpointHead;
  /** How many chunks there are. */
  readonly chunks: number;
  /** Offset of the first chunk in the log of checkpoints. */
  readonly firstOffset: number;
  /** SHA-256 of all bytes. */
  readonly digest: Uint8Array;
}

/**
 * The chunk records of a checkpoint.
 *
 * @param id At most 64 ASCII characters, of this save alone.
 * @param maxRecordBytes Largest record that the log takes.
 */
export function* chunkRecords(id: string, bytes: Uint8Array, maxRecordBytes: number): Generator<Uint8Array> {
  const name = encoder.encode(id);
  const room = maxRecordBytes - CHUNK_HEAD_BYTES - name.length;
  if (room < MIN_CHUNK_BYTES)
    throw new RangeError(`Records of ${maxRecordBytes} bytes are too small for checkpoints`);
  for (let at = 0, index = 0; at < bytes.length; at += room, index++) {
    const payload = bytes.subarray(at, at + room);
    const record = new Uint8Array(CHUNK_HEAD_BYTES + name.length + payload.length);
    const view = new DataView(record.buffer);
    view.setUint8(0, CHUNK);
    view.setUint8(1, name.length);
    view.setUint32(2, index);
    record.set(name, CHUNK_HEAD_BYTES);
    record.set(payload, CHUNK_HEAD_BYTES + name.length);
    yield record;
  }
}

/** The record that commits what {@link chunkRecords} made of `checkpoint.bytes`. */
export function commitRecord(
  id: string,
  checkpoint: Checkpoint,
  chunks: number,
  firstOffset: number,
): Uint8Array {
  const { about, bytes, incarnation, offset } = checkpoint;
  assertAbout(about);
  const [name, life] = [encoder.encode(id), encoder.encode(incarnation)];
  if (name.length > MAX_ID_BYTES || life.length > MAX_ID_BYTES)
    throw new RangeError(`Names of checkpoints and incarnations have at most ${MAX_ID_BYTES} bytes`);
  const parts = [
    Uint8Array.of(COMMIT, name.length),
    name,
    numbers(chunks, firstOffset, offset),
    digestOf(bytes),
    Uint8Array.of(life.length),
    life,
    about,
  ];
  return Buffer.concat(parts);
}

/**
 * Writes a checkpoint: its chunks in order, and then what commits it.
 *
 * @param maxRecordBytes Largest record that the log takes.
 * @param write Stores a record behind all before it, and resolves to its offset.
 */
export async function writeCheckpoint(
  id: string,
  checkpoint: Checkpoint,
  maxRecordBytes: number,
  write: (record: Uint8Array, kind: 'chunk' | 'commit') => Promise<number>,
): Promise<void> {
  assertAbout(checkpoint.about);
  let [chunks, first] = [0, 0];
  for (const record of chunkRecords(id, checkpoint.bytes, maxRecordBytes)) {
    const offset = await write(record, 'chunk');
    if (chunks === 0) first = offset;
    chunks += 1;
  }
  await write(commitRecord(id, checkpoint, chunks, first), 'commit');
}

/** An `about` that no commit record can hold. @throws RangeError */
function assertAbout(about: Uint8Array): void {
  if (about.length > MAX_ABOUT_BYTES)
    throw new RangeError(
      `\`about\` of a checkpoint has ${about.length} bytes: at most ${MAX_ABOUT_BYTES} fit`,
    );
}

/** Reads a commit record. @returns `undefined` for anything else: a chunk, foreign bytes, a part of one */
export function readCommit(record: Uint8Array): CheckpointCommit | undefined {
  const fields = new Fields(record);
  if (fields.byte() !== COMMIT) return undefined;
  const id = decoder.decode(fields.take(fields.byte()));
  const [chunks, firstOffset, offset] = [fields.number(), fields.number(), fields.number()];
  const digest = fields.take(DIGEST_BYTES);
  const incarnation = decoder.decode(fields.take(fields.byte()));
  if (fields.isShort) return undefined;
  return { id, chunks, firstOffset, digest, head: { incarnation, offset, about: fields.rest() } };
}

/** Puts a checkpoint together from the records between its first chunk and its commit. */
export class CheckpointAssembly {
  private readonly parts: Uint8Array[] = [];

  constructor(private readonly commit: CheckpointCommit) {}

  /** Whether all chunks are there. */
  get isComplete(): boolean {
    return this.parts.length === this.commit.chunks;
  }

  /** Takes a record; those of other checkpoints, copies and foreign bytes are passed over. */
  add(record: Uint8Array): void {
    const fields = new Fields(record);
    if (fields.byte() !== CHUNK) return;
    const nameBytes = fields.byte();
    const index = fields.uint32();
    const id = decoder.decode(fields.take(nameBytes));
    if (fields.isShort || id !== this.commit.id || index !== this.parts.length || this.isComplete) return;
    this.parts.push(fields.rest());
  }

  /** @returns the checkpoint; `undefined` when a chunk is missing or the bytes are not those that were saved */
  finish(): Checkpoint | undefined {
    if (!this.isComplete) return undefined;
    const bytes = Buffer.concat(this.parts);
    if (!digestOf(bytes).equals(this.commit.digest)) return undefined;
    return { ...this.commit.head, bytes };
  }
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Offsets are beyond 32 bits. */
function numbers(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setFloat64(index * 8, value));
  return bytes;
}

/** Reads fields of a record one behind the other; what is missing reads as zeros and is noted. */
class Fields {
  isShort = false;
  private at = 0;

  constructor(private readonly record: Uint8Array) {}

  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  uint32(): number {
    return this.view(4).getUint32(0);
  }

  number(): number {
    return this.view(8).getFloat64(0);
  }

  take(length: number): Uint8Array {
    const part = this.record.subarray(this.at, this.at + length);
    this.at += length;
    if (part.length < length) this.isShort = true;
    return part.length < length ? new Uint8Array(length) : part;
  }

  rest(): Uint8Array {
    return this.record.slice(this.at);
  }

  private view(length: number): DataView {
    const part = this.take(length);
    return new DataView(part.buffer, part.byteOffset, length);
  }
}
