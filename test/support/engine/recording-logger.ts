import { noteSecrets } from '../../../scripts/canary.mjs';
import type { EngineLogger, LogSubject } from '../../../lib/core/ports/logger.js';

/** One line that the engine logged. */
export interface LogRecord {
  readonly level: 'debug' | 'log' | 'warn' | 'error';
  readonly message: string;
  readonly error?: unknown;
  readonly about?: LogSubject;
}

/** Keeps what was logged, for tests that look at it: an operator's view is part of what is promised (G23, G25). */
export class RecordingLogger implements EngineLogger {
  readonly records: LogRecord[] = [];

  debug(message: string, about?: LogSubject): void {
    this.keep({ level: 'debug', message, about });
  }

  log(message: string, about?: LogSubject): void {
    this.keep({ level: 'log', message, about });
  }

  warn(message: string, about?: LogSubject): void {
    this.keep({ level: 'warn', message, about });
  }

  error(message: string, error?: unknown, about?: LogSubject): void {
    this.keep({ level: 'error', message, error, about });
  }

  at(level: LogRecord['level']): readonly LogRecord[] {
    return this.records.filter((record) => record.level === level);
  }

  /** What tests keep is not printed, so the scan of their output would not see it. */
  private keep(record: LogRecord): void {
    const { message, error } = record;
    noteSecrets(error instanceof Error ? `${message} ${String(error.stack)}` : `${message} ${String(error)}`);
    this.records.push(record);
  }
}
