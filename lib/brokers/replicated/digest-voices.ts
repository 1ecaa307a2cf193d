import type { DigestReport } from './digest-trail.js';

/** Most voices that are kept of those who had no lease when the leases were looked at last: they may be nodes that start. */
const MAX_STRANGERS = 1_024;
/** Most bytes of all that was said. */
const MAX_BYTES = 32 * 1024 * 1024;
/** What a voice, a place of a partition and a text count beside their characters: the objects that hold them. */
const VOICE_BYTES = 512;
const OPINION_BYTES = 512;
const TEXT_BYTES = 32;

export interface Opinion {
  /** The oldest report that could not be compared yet. Whom it names is of no use by then. */
  waiting: DigestReport | undefined;
  /** What the last one that could be compared has shown. */
  agrees: boolean | undefined;
  /** Leases of those of whom that node said that they answer as it does. */
  alike: readonly string[];
}

/** What one other node has said. */
export interface Voice {
  readonly heardAt: number;
  /** By partition: those that its last word named. */
  readonly opinions: Map<number, Opinion>;
}

/**
 * What other nodes have said, by lease. Signals are not signed, and nothing says that who speaks is a node: so those who had a lease
 * when that was looked at last go before all others, and what has no room is not kept. Of whom nothing is kept it is not known what they
 * answer, so nobody leaves for them.
 */
export class DigestVoices {
  private readonly voices = new Map<string, Voice & { readonly bytes: number }>();
  private leases: ReadonlySet<string> = new Set();
  private strangers = 0;
  private bytes = 0;

  /** @param onFull something was not kept for lack of room. */
  constructor(private readonly onFull: () => void) {}

  get all(): ReadonlyMap<string, Voice> {
    return this.voices;
  }

  get(lease: string): Voice | undefined {
    return this.voices.get(lease);
  }

  /** In place of what that node said before, which stays where there is no room for this. */
  note(lease: string, voice: Voice): void {
    const bytes = sizeOf(lease, voice);
    const before = this.voices.get(lease);
    const needed = bytes - (before?.bytes ?? 0);
    const isStranger = !this.leases.has(lease);
    if (!isStranger) this.makeRoom(needed);
    if (
      this.bytes + needed > MAX_BYTES ||
      (isStranger && before === undefined && this.strangers >= MAX_STRANGERS)
    )
      return this.onFull();
    if (isStranger && before === undefined) this.strangers += 1;
    this.bytes += needed;
    this.voices.set(lease, { ...voice, bytes });
  }

  /** Forgets what is said by others than those who have a lease now. */
  keep(leases: readonly string[]): void {
    this.leases = new Set(leases);
    for (const lease of this.voices.keys()) if (!this.leases.has(lease)) this.drop(lease);
    this.strangers = 0;
  }

  /** For one with a lease: those without one go, the oldest first. */
  private makeRoom(needed: number): void {
    for (const lease of this.voices.keys()) {
      if (this.strangers === 0 || this.bytes + needed <= MAX_BYTES) return;
      if (this.leases.has(lease)) continue;
      this.drop(lease);
      this.strangers -= 1;
      this.onFull();
    }
  }

  private drop(lease: string): void {
    this.bytes -= this.voices.get(lease)?.bytes ?? 0;
    this.voices.delete(lease);
  }
}

function sizeOf(lease: string, { opinions }: Voice): number {
  let bytes = VOICE_BYTES + textBytes(lease);
  for (const { alike, waiting } of opinions.values()) {
    bytes += OPINION_BYTES;
    for (const other of alike) bytes += textBytes(other);
    if (waiting === undefined) continue;
    bytes += textBytes(waiting.incarnation) + textBytes(waiting.input) + textBytes(waiting.outcome);
  }
  return bytes;
}

function textBytes(text: string): number {
  return TEXT_BYTES + 2 * text.length;
}
