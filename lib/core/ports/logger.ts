/**
 * The connection that a line of the log is about. All of it is this server's own, or the authenticator's: ids that a client chooses are
 * not among it.
 */
export interface LogSubject {
  /** Id of the connection. */
  readonly connection: string;
  /** Lineage of its session, the same over all connections that continue it; absent before `welcome`. */
  readonly session?: string;
  /** Id of its user, as it was verified; absent for an anonymous client. */
  readonly user?: string;
}

/** The engine's log. What a client controls is never logged above `debug`: a public socket must not be able to flood a log. */
export interface EngineLogger {
  debug(message: string, about?: LogSubject): void;
  log(message: string, about?: LogSubject): void;
  warn(message: string, about?: LogSubject): void;
  error(message: string, error?: unknown, about?: LogSubject): void;
}
