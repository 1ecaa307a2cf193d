import { Logger } from '@nestjs/common';
import type { AuditSink } from '../core/ports/audit.js';
import { printable } from '../core/ports/log-text.js';

/** Where {@link logSink} writes. */
export interface LogSinkOptions {
  /** Takes each line. Default: Nest's logger with the context `RealtimeAudit`, at the level `log`. */
  readonly write?: (line: string) => void;
}

/**
 * Writes each entry as one line of JSON: in JSON a name with a line break cannot forge a second line.
 *
 * @example forRoot({ audit: { sinks: [logSink()] } })
 * @publicApi
 */
export function logSink({ write }: LogSinkOptions = {}): AuditSink {
  const logger = new Logger('RealtimeAudit');
  return {
    name: 'log',
    write: (entry) => (write ?? ((line: string) => logger.log(line)))(printable(JSON.stringify(entry))),
  };
}
