import type { ChannelHandle } from 'nestjs-realtime/client';
import { byId, displayName } from './dom.js';

const REPEAT_MS = 2_000;
const EXPIRES_MS = 3_500;
const line = byId('typing', HTMLParagraphElement);

/** Shows who is typing. Signals may be lost, so each one expires instead of being ended by another. */
export class Typing {
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private lastSent = 0;

  constructor(
    private readonly room: ChannelHandle,
    private readonly self: string,
  ) {}

  /** Sends the signal now and then, not with every key. */
  typed(): void {
    const now = performance.now();
    if (now - this.lastSent < REPEAT_MS && this.lastSent > 0) return;
    this.lastSent = now;
    // It is refused while the user is muted, which the page shows elsewhere.
    this.room.signal('typing').catch(() => undefined);
  }

  /** The next key begins another message. */
  sent(): void {
    this.lastSent = 0;
  }

  heard(user: string | undefined): void {
    if (user === undefined || user === this.self) return;
    clearTimeout(this.timers.get(user));
    this.timers.set(
      user,
      setTimeout(() => this.stopped(user), EXPIRES_MS),
    );
    this.paint();
  }

  stopped(user: string | undefined): void {
    if (user === undefined) return;
    clearTimeout(this.timers.get(user));
    this.timers.delete(user);
    this.paint();
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.paint();
  }

  private paint(): void {
    const names = [...this.timers.keys()].map(displayName);
    line.textContent =
      names.length === 0
        ? ''
        : names.length === 1
          ? `${names[0]} is typing …`
          : names.length === 2
            ? `${names[0]} and ${names[1]} are typing …`
            : 'Several people are typing …';
  }
}
