import type { AuditDraft } from '../../ports/audit.js';
import type { Clock, Scheduled } from '../../ports/clock.js';

const WINDOW_MS = 60_000;
/** Entries of one client in a minute: one that is refused all the time must not hide the others. */
const OF_ONE_CLIENT = 5;
/** Kinds that are counted apart. */
const MAX_KINDS = 64;
const OTHERS = 'others';

export interface RefusalSamplesDeps {
  readonly clock: Clock;
  /** Entries in a minute. */
  readonly perMinute: number;
  readonly record: (draft: AuditDraft) => void;
}

/**
 * What clients cause: the first of each minute have an entry each, and of the others one entry at its end says how many there were,
 * by kind. So clients cannot fill the audit, and nothing of it is left out in silence.
 */
export class RefusalSamples {
  private readonly clients = new Map<string, number>();
  private readonly more = new Map<string, number>();
  private taken = 0;
  private window: Scheduled | undefined;

  constructor(private readonly deps: RefusalSamplesDeps) {}

  /**
   * @param client who is charged for it.
   * @param kind for the count: one of few, such as the pattern of a channel and an action; never what a client chose.
   */
  add(client: string, kind: string, draft: () => AuditDraft): void {
    const { clock, perMinute, record } = this.deps;
    this.window ??= clock.schedule(WINDOW_MS, () => this.end());
    const ofClient = this.clients.get(client) ?? 0;
    if (this.taken < perMinute && ofClient < OF_ONE_CLIENT) {
      this.taken++;
      this.clients.set(client, ofClient + 1);
      record(draft());
      return;
    }
    const key = this.more.has(kind) || this.more.size < MAX_KINDS ? kind : OTHERS;
    this.more.set(key, (this.more.get(key) ?? 0) + 1);
  }

  /** Records the counts, and begins again. */
  end(): void {
    this.window?.cancel();
    this.window = undefined;
    this.taken = 0;
    this.clients.clear();
    if (this.more.size === 0) return;
    const counts = Object.fromEntries(this.more);
    this.more.clear();
    this.deps.record({ act: 'refusals', result: 'refused', data: { counts } });
  }
}
