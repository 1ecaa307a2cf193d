/** The engine's log. What a client controls is never logged above `debug`: a public socket must not be able to flood a log. */
export interface EngineLogger {
  debug(message: string): void;
  log(message: string): void;
  warn(message: string): void;
  error(message: string, error?: unknown): void;
}
