import { Logger } from '@nestjs/common';
import type { EngineLogger } from '../../core/ports/logger.js';
import { LOGGER_CONTEXT } from '../constants.js';

/** The engine's reports through Nest's logger, so that the application's own logger gets them. */
export class NestEngineLogger implements EngineLogger {
  private readonly logger = new Logger(LOGGER_CONTEXT);

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
  return error instanceof Error ? (error.stack ?? error.message) : `Thrown: ${typeof error}`;
}
