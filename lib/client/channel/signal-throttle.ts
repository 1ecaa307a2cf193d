import type { ClientClock } from '../clock.js';
import { deferred } from '../promises.js';

/** What waits for the end of a window. */
interface Next {
  readonly send: () => void;
  readonly drop: () => void;
}

/** Signals of one channel that are sent once in a while: the first at once, then the newest at the end of each window. */
export class SignalThrottle {
  private readonly windows = new Map<string, { next: Next | undefined }>();

  constructor(private readonly clock: ClientClock) {}

  /** @returns What `send` gave, or `false` for one that a newer one replaced. */
  run(event: string, throttleMs: number, send: () => Promise<boolean>): Promise<boolean> {
    const window = this.windows.get(event);
    if (window === undefined) {
      this.open(event, throttleMs);
      return send();
    }
    window.next?.drop();
    const { promise, resolve, reject } = deferred<boolean>();
    window.next = { send: () => void send().then(resolve, reject), drop: () => resolve(false) };
    return promise;
  }

  private open(event: string, throttleMs: number): void {
    const window: { next: Next | undefined } = { next: undefined };
    this.windows.set(event, window);
    this.clock.schedule(throttleMs, () => {
      this.windows.delete(event);
      if (window.next === undefined) return;
      this.open(event, throttleMs);
      window.next.send();
    });
  }
}
