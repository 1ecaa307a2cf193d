import type { LogState } from './ordered-log.js';

/** Whether a log can be reached, and by which connection: what `connected`, `session` and `onState` of the port show. */
export class LogLink {
  private readonly listeners = new Set<(state: LogState) => void>();
  private up = false;
  private sessions = 0;

  get connected(): boolean {
    return this.up;
  }

  get session(): number {
    return this.sessions;
  }

  /** There is a connection: the next session begins, unless one is open. */
  open(): void {
    if (this.up) return;
    this.up = true;
    this.sessions += 1;
    this.tell();
  }

  /** The connection is gone. */
  lose(reason: string): void {
    if (!this.up) return;
    this.up = false;
    this.tell(reason);
  }

  onState(listener: (state: LogState) => void): () => void {
    // Wrapped, so that the same function may listen twice.
    const entry = (state: LogState): void => listener(state);
    this.listeners.add(entry);
    return () => void this.listeners.delete(entry);
  }

  private tell(reason?: string): void {
    const state = { connected: this.up, session: this.sessions, ...(reason !== undefined && { reason }) };
    for (const listener of [...this.listeners]) listener(state);
  }
}
