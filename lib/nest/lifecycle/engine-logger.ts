import { Logger } from '@nestjs/common';
import type { EngineLogger } from '../../core/ports/logger.js';

/** Most characters of a thrown text that are logged. */
const MOST_CHARACTERS = 200;

/** The engine's reports through Nest's logger, so that the application's own logger gets them. */
export class NestEngineLogger implements EngineLogger {
  private readonly logger = new Logger('RealtimeModule');

  debug(message: string): void {
    this.logger.debug(message);
  }

  log(message: string): void {
    this.logger.log(message);
  }

  warn(message: string): void {
    this.logger.warn(message);
  }

  error(message: string, error?: unknown): void {
    // Nest prints a second string as the stack.
    if (error === undefined) this.logger.error(message);
    else this.logger.error(message, stackOf(error));
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : `Thrown: ${describe(error)}`;
}

/** Of an object only its type: its fields may hold secrets. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return quote(thrown);
  if (thrown !== null && (typeof thrown === 'object' || typeof thrown === 'function')) return typeof thrown;
  return typeof thrown === 'symbol' ? 'symbol' : String(thrown);
}

/** A text may come from a client: it must neither fill the log nor forge a line of it. */
function quote(text: string): string {
  // JSON does not escape C1 controls, line separators and direction marks.
  const quoted = JSON.stringify(text.slice(0, MOST_CHARACTERS)).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeUnits);
  return text.length > MOST_CHARACTERS ? `${quoted}… (${text.length} characters)` : quoted;
}

function escapeUnits(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
