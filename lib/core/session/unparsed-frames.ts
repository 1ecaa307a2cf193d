import type { Encoded } from '../../protocol/codecs/codec.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import type { Received } from './backlog.js';

/** Bytes that may wait: reading pauses behind the frame that exceeds them. Before `welcome` a client sends a few subscribes. */
const MAX_WAITING_BYTES = 16 * 1024;
/** A larger frame waits if this turn of the event loop has taken long enough: to parse it may take a millisecond. */
const MEDIUM_BYTES = 4 * 1024;
/** A larger one waits behind the work of others. */
const LARGE_BYTES = 16 * 1024;
/** What a frame takes beside its bytes: so even empty ones are few. */
const FRAME_BYTES = 128;

/** A frame as it came. */
interface UnparsedFrame {
  readonly frame: Encoded;
  readonly bytes: number;
}

/**
 * What a client has sent that has yet to be parsed, in its order: before `welcome`, as no answer may come before that (P3) and
 * nothing is spent on a client that is not known yet; later, a large frame that waits for a turn of the event loop, and what came behind it.
 */
export class UnparsedFrames {
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

  /** Whether the next frame waits behind the work of others. */
  get isLarge(): boolean {
    return isLarge(this.frames[0]?.bytes ?? 0);
  }

  get isEmpty(): boolean {
    return this.commands.length === 0 && this.frames.length === 0;
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
    this.frames.push({ frame, bytes });
    this.change(FRAME_BYTES + bytes);
    return true;
  }

  /** Hands over what came in the frame of `hello`. */
  takeCommands(): readonly Received[] {
    const commands = this.commands.splice(0);
    this.change(-commands.reduce((sum, { weight }) => sum + weight, 0));
    return commands;
  }

  /** Hands over the next frame. */
  takeFrame(): UnparsedFrame | undefined {
    const next = this.frames.shift();
    this.isEarly = this.early-- > 0;
    if (next !== undefined) this.change(-FRAME_BYTES - next.bytes);
    return next;
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

/** Whether a frame of so many bytes may have to wait. */
export function mayWait(bytes: number): boolean {
  return bytes > MEDIUM_BYTES;
}

/** Whether it waits behind the work of others. */
export function isLarge(bytes: number): boolean {
  return bytes > LARGE_BYTES;
}
