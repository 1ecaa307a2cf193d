import type { Encoded } from '../../protocol/codecs/codec.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import type { Received } from './backlog.js';

/** Bytes that may come before `welcome`: reading pauses behind the frame that exceeds them. A client sends a few subscribes. */
const EARLY_BYTES = 16 * 1024;
/** What a frame takes beside its bytes: so even empty ones are few. */
const FRAME_BYTES = 128;

/** A frame as it came: until somebody is known, nothing is spent on parsing it. */
export interface EarlyFrame {
  readonly frame: Encoded;
  readonly bytes: number;
}

/** What a client sends before `welcome`, in its order: no answer may come before that (P3). */
export class EarlyCommands {
  /** What came in the frame of `hello`. */
  private readonly commands: Received[] = [];
  private readonly frames: EarlyFrame[] = [];
  private bytes = 0;
  private counted = 0;

  constructor(
    private readonly sender: UnfinishedSender,
    private readonly unfinished: UnfinishedBytes,
  ) {}

  /** Whether reading must pause. */
  get isFull(): boolean {
    return this.bytes > EARLY_BYTES;
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

  /** As {@link pushCommand}. @param max most frames. @returns `false` when there are too many. */
  pushFrame(frame: Encoded, bytes: number, max: number): boolean {
    if (this.frames.length >= max) return false;
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
  takeFrame(): EarlyFrame | undefined {
    const next = this.frames.shift();
    if (next !== undefined) this.change(-FRAME_BYTES - next.bytes);
    return next;
  }

  /** Counts the commands of a frame that was handed over. @returns how many there were so far. */
  count(commands: number): number {
    this.counted += commands;
    return this.counted;
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
