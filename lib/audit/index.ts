export { logSink, type LogSinkOptions } from './log-sink.js';
export { memorySink, type MemorySinkOptions } from './memory-sink.js';
export { redisSink, type AuditRedisClient, type RedisSinkOptions } from './redis-sink.js';
export type {
  AuditDraft,
  AuditEntry,
  AuditFilter,
  AuditPage,
  AuditQuery,
  AuditResult,
  AuditSink,
  AuditSubject,
  AuditValue,
} from '../core/ports/audit.js';
export type { AuditHandle } from '../nest/audit-handle.js';
export type {
  AbuseAct,
  AdministrativeAct,
  ObservedCircuit,
  ObservedCommand,
  Observer,
  Outcome,
} from '../core/ports/observer.js';
