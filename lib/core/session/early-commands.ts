import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import type { Received } from './backlog.js';

/** Bytes of memory that may come before `welcome`: reading pauses behind the frame that exceeds them. A client sends few commands. */
const EARLY_BYTES = 16 * 1024;

/** What a client sends before `welcome`, in its order: no answer may come before that (P3). */
export class EarlyCommands {
  private readonly kept: Received[] = [];
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

  /** @returns `false` when too many came. The node may end the sender for what it holds. */
  push(early: Received): boolean {
    if (this.kept.length >= this.maxCommands) return false;
    this.kept.push(early);
    this.bytes += early.weight;
    this.unfinished.note(this.sender, this.bytes);
    return true;
  }

  /** Hands it over; it no longer counts. */
  take(): readonly Received[] {
    this.unfinished.note(this.sender, 0);
    return this.kept;
  }
}
