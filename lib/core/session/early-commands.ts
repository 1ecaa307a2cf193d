import type { CommandValidation } from '../../protocol/validation/validate-command.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';

/** More than this of it runs in a turn of its own: of sessions that are welcomed together, all would run in one. */
const EARLY_TURN_BYTES = 4 * 1024;
/** Bytes that may come before `welcome`: reading pauses behind the frame that exceeds them. A client sends a few subscribes. */
const EARLY_BYTES = 16 * 1024;

/** One envelope that came before `welcome`. */
export interface Early {
  readonly validation: CommandValidation;
  readonly bytes: number;
}

/** What a client sends before `welcome`, in its order: no answer may come before that (P3). */
export class EarlyCommands {
  private readonly kept: Early[] = [];
  private bytes = 0;

  constructor(
    private readonly sender: UnfinishedSender,
    private readonly unfinished: UnfinishedBytes,
    private readonly maxCommands: number,
  ) {}

  /** Whether reading must pause. */
  get isFull(): boolean {
    return this.bytes > EARLY_BYTES;
  }

  /** Whether it is too much to be run together with that of other sessions. */
  get needsTurn(): boolean {
    return this.bytes > EARLY_TURN_BYTES;
  }

  /** @returns `false` when too many came. The node may end the sender for what it holds. */
  push(early: Early): boolean {
    if (this.kept.length >= this.maxCommands) return false;
    this.kept.push(early);
    this.bytes += early.bytes;
    this.unfinished.note(this.sender, this.bytes);
    return true;
  }

  /** Hands it over; it no longer counts. */
  take(): readonly Early[] {
    this.unfinished.note(this.sender, 0);
    return this.kept;
  }
}
