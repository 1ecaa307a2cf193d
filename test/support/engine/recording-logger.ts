import type { EngineLogger } from '../../../lib/core/ports/logger.js';

/** One line that the engine logged. */
export interface LogRecord {
  readonly level: 'debug' | 'log' | 'warn' | 'error';
  readonly message: string;
  readonly error?: unknown;
}

/** Keeps what was logged, for tests that look at it: an operator's view is part of what is promised (G23, G25). */
export class RecordingLogger implements EngineLogger {
  readonly records: LogRecord[] = [];

  debug(message: string): void {
    this.records.push({ level: 'debug', message });
  }

  log(message: string): void {
    this.records.push({ level: 'log', message });
  }

  warn(message: string): void {
    this.records.push({ level: 'warn', message });
  }

  error(message: string, error?: unknown): void {
    this.records.push({ level: 'error', message, error });
  }

  at(level: LogRecord['level']): readonly LogRecord[] {
    return this.records.filter((record) => record.level === level);
  }
}
