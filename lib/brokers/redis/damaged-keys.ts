import { commandError, detailOf } from './errors.js';
import type { RedisSettings } from './settings.js';

/** Errors of a script that met keys of another type or form. */
const DAMAGED = /\b(?:WRONGTYPE|ERR)\b/;
/** How often that is warned of, in milliseconds. */
const WARN_EVERY_MS = 60_000;

/** Keys that are not what this version writes: what is wrong with one of them is not the fault of those beside it. */
export class DamagedKeys {
  private warnedAt = Number.NEGATIVE_INFINITY;

  /** @param fails what is not possible for them. @param keys what the operator is to remove. */
  constructor(
    private readonly settings: Pick<RedisSettings, 'clock' | 'onWarning'>,
    private readonly fails: string,
    private readonly keys: string,
  ) {}

  /** Warns, at times. @throws the error where it says something else: what the server refuses, it refuses all of them. */
  skip(error: unknown): void {
    const message = detailOf(commandError(error));
    if (!DAMAGED.test(message)) throw error;
    const now = this.settings.clock.monotonic();
    if (now - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = now;
    this.settings.onWarning(
      `${this.fails}, as its keys are not what this version writes: ${message}. Remove ${this.keys}`,
    );
  }
}
