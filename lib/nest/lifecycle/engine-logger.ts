import { ConsoleLogger, Logger } from '@nestjs/common';
import { printable, quoted, withoutUserinfo } from '../../core/ports/log-text.js';
import type { EngineLogger, LogSubject } from '../../core/ports/logger.js';

/**
 * The engine's reports through Nest's logger, so that the application's own logger gets them. A line about one connection has its ids:
 * as fields for the console logger of Nest 12, as JSON at the end of the text for any other, which would print an object as a line of
 * its own or leave it out.
 */
export class NestEngineLogger implements EngineLogger {
  private readonly logger = new Logger('RealtimeModule');

  debug(message: string, about?: LogSubject): void {
    this.logger.debug(...line(message, about));
  }

  log(message: string, about?: LogSubject): void {
    this.logger.log(...line(message, about));
  }

  warn(message: string, about?: LogSubject): void {
    this.logger.warn(...line(message, about));
  }

  error(message: string, error?: unknown, about?: LogSubject): void {
    const [text, ...fields] = line(message, about);
    // Nest prints a last string as the stack.
    if (error === undefined) this.logger.error(text, ...fields);
    else this.logger.error(text, ...fields, stackOf(error));
  }
}

function line(given: string, about: LogSubject | undefined): [text: string, ...fields: LogSubject[]] {
  // An issuer, or the address in an error of a library, may have one.
  const message = withoutUserinfo(given);
  if (about === undefined) return [message];
  return takesFields() ? [message, about] : [`${message} ${printable(JSON.stringify(about))}`];
}

/** Whether the logger that is used now makes fields of an object. Asked for each line: an application may set another one. */
function takesFields(): boolean {
  const { staticInstanceRef: used } = Logger as unknown as { readonly staticInstanceRef?: unknown };
  return used instanceof ConsoleLogger && 'stringifyParams' in used;
}

function stackOf(error: unknown): string {
  return withoutUserinfo(
    error instanceof Error ? (error.stack ?? error.message) : `Thrown: ${describe(error)}`,
  );
}

/** Of an object only its type: its fields may hold secrets. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return quoted(thrown);
  if (thrown !== null && (typeof thrown === 'object' || typeof thrown === 'function')) return typeof thrown;
  return typeof thrown === 'symbol' ? 'symbol' : String(thrown);
}
