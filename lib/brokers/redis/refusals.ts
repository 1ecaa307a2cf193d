import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { refusalOf } from './errors.js';

/** How long a refusal counts where no sign of life of the node says whether it still holds, as of another server of a Cluster. */
const HOLDS_MS = 10_000;

interface Refusal {
  /** In the server's words. */
  readonly text: string;
  /** Monotonic time of the last command that was refused. */
  at: number;
}

/**
 * Why servers that answer refuse what is written to them (`OOM`, `MISCONF`, `NOREPLICAS`, …), as this node was told. Each sign of
 * life of the node asks its server; of other servers only their refusals are known, so these count for a time.
 */
export class Refusals {
  private readonly byServer = new Map<string, Refusal>();
  private timer: Scheduled | undefined;

  constructor(
    private readonly clock: Clock,
    /** Called when {@link Refusals.current} has changed. */
    private readonly onChange: () => void,
  ) {}

  /** What some server says that refuses; `undefined` while none does. */
  get current(): string | undefined {
    return this.byServer.values().next().value?.text;
  }

  /** A command failed, whatever the reason. */
  note(server: string, error: unknown): void {
    const text = refusalOf(error);
    if (text === undefined) return;
    this.set(server, text);
  }

  /** @param text what the server refused of a sign of life, in its words; `undefined` when it took the whole of it. */
  set(server: string, text: string | undefined): void {
    const before = this.current;
    const known = this.byServer.get(server);
    const at = this.clock.monotonic();
    if (text === undefined) this.byServer.delete(server);
    // The words differ by script and line; who reads them wants to know when another reason takes its place.
    else if (known !== undefined && wordOf(known.text) === wordOf(text)) known.at = at;
    else this.byServer.set(server, { text, at });
    this.watch();
    if (this.current !== before) this.onChange();
  }

  close(): void {
    this.timer?.cancel();
    this.byServer.clear();
  }

  private watch(): void {
    if (this.byServer.size === 0 || this.timer !== undefined) return;
    this.timer = this.clock.schedule(HOLDS_MS, () => {
      this.timer = undefined;
      const before = this.current;
      const now = this.clock.monotonic();
      for (const [server, { at }] of this.byServer) if (now - at >= HOLDS_MS) this.byServer.delete(server);
      this.watch();
      if (this.current !== before) this.onChange();
    });
  }
}

function wordOf(text: string): string | undefined {
  return text.split(' ', 1)[0];
}
