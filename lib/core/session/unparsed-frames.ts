import type { Codec, Encoded, FrameError } from '../../protocol/codecs/codec.js';
import type { FrameLimits } from '../../protocol/envelope.js';
import type { Scheduled } from '../ports/clock.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import { structureOf } from '../ports/value-weight.js';
import type { Received } from './backlog.js';
import { parsePiece } from './frame-pieces.js';

/** Bytes that may wait: reading pauses behind the frame that exceeds them. Before `welcome` a client sends a few subscribes. */
const MAX_WAITING_BYTES = 16 * 1024;
/** What a frame takes beside its bytes: so even empty ones are few. */
const FRAME_BYTES = 128;

/** A frame of which not all is parsed. */
export class UnparsedFrame {
  readonly values: unknown[] = [];
  readonly structures: number[] = [];
  /** What it takes of the memory. */
  weight: number;
  /** Whether it waited because its client had sent too much before. */
  isOverRate = false;
  private at = 0;

  constructor(
    private readonly frame: Encoded,
    readonly bytes: number,
  ) {
    this.weight = FRAME_BYTES + bytes;
  }

  get isBegun(): boolean {
    return this.at > 0;
  }

  get isParsed(): boolean {
    return this.at >= this.frame.length;
  }

  /** Parses the next piece of it. @returns the name of the close code of one that breaks a limit or is not of the codec. */
  parseNext(codec: Codec, limits: FrameLimits): FrameError['close'] | undefined {
    const piece = parsePiece(codec, this.frame, this.at, this.values.length, limits);
    if (typeof piece === 'string') return piece;
    this.at = piece.end;
    for (const value of piece.values) {
      const structure = structureOf(value);
      this.values.push(value);
      this.structures.push(structure);
      this.weight += structure;
    }
    return undefined;
  }
}

/**
 * What a client has sent that has yet to be parsed, in its order: before `welcome`, as no answer may come before that (P3) and
 * nothing is spent on a client that is not known yet; later, a large frame that waits for a turn of the event loop, and what came behind it.
 */
export class UnparsedFrames {
  /** Whether somebody parses it, or waits to. */
  isBusy = false;
  /** Monotonic time since which the next frame waits for others; `undefined` while it does not. */
  waitsSince: number | undefined;
  /** Runs while it waits. */
  timer: Scheduled | undefined;
  deadline: Scheduled | undefined;
  /** What came in the frame of `hello`. */
  private readonly commands: Received[] = [];
  private readonly frames: UnparsedFrame[] = [];
  private bytes = 0;
  private counted = 0;
  /** Frames in it that came before `welcome`. */
  private early = Infinity;
  private isEarly = true;

  constructor(
    private readonly sender: UnfinishedSender,
    private readonly unfinished: UnfinishedBytes,
    /** Most commands before `welcome`, and most frames. */
    private readonly maxEarly: number,
  ) {}

  /** Whether reading must pause. */
  get isFull(): boolean {
    return this.bytes > MAX_WAITING_BYTES;
  }

  get isEmpty(): boolean {
    return this.commands.length === 0 && this.frames.length === 0;
  }

  /** The frame whose turn is next. */
  get next(): UnparsedFrame | undefined {
    return this.frames[0];
  }

  /** The node may end the sender for what it holds. */
  pushCommand(command: Received): void {
    this.counted++;
    this.commands.push(command);
    this.change(command.weight);
  }

  /** As {@link pushCommand}. @returns `false` when there are too many. */
  pushFrame(frame: Encoded, bytes: number): boolean {
    if (this.early === Infinity && this.frames.length >= this.maxEarly) return false;
    const added = new UnparsedFrame(frame, bytes);
    this.frames.push(added);
    this.change(added.weight);
    return true;
  }

  /** Parses the next piece of the next frame. As {@link UnparsedFrame.parseNext}; the node may end the sender for what it makes. */
  parseNext(codec: Codec, limits: FrameLimits): FrameError['close'] | undefined {
    const frame = this.frames[0] as UnparsedFrame;
    const before = frame.weight;
    const problem = frame.parseNext(codec, limits);
    if (frame.isParsed) this.frames.shift();
    // What is parsed is handed over now.
    this.change(frame.isParsed ? -before : frame.weight - before);
    if (frame.isParsed) {
      this.isEarly = this.early-- > 0;
      this.waitsSince = undefined;
    }
    return problem;
  }

  /** Hands over what came in the frame of `hello`. */
  takeCommands(): readonly Received[] {
    const commands = this.commands.splice(0);
    this.change(-commands.reduce((sum, { weight }) => sum + weight, 0));
    return commands;
  }

  /** What comes from now on waits only for its turn, and is bounded in bytes. */
  welcome(): void {
    this.early = this.frames.length;
  }

  /** Counts the commands of a frame that was handed over. @returns `false` when too many came before `welcome`. */
  count(commands: number): boolean {
    this.counted += commands;
    return !this.isEarly || this.counted <= this.maxEarly;
  }

  /** Drops everything. */
  end(): void {
    this.timer?.cancel();
    this.deadline?.cancel();
    this.commands.length = 0;
    this.frames.length = 0;
    this.change(-this.bytes);
  }

  private change(bytes: number): void {
    if (bytes === 0) return;
    this.bytes += bytes;
    this.unfinished.note(this.sender, this.bytes);
  }
}
