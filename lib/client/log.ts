/** Where the client writes what it does: one call per line, e.g. `(level, message) => console[level](message)`. */
export type ClientLog = (level: 'debug' | 'info' | 'warn' | 'error', message: string, data?: unknown) => void;
