import type { EngineLogger } from '../ports/logger.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { ConnectionListener, RealtimeConnection } from '../ports/realtime-connection.js';

/**
 * Who is notified of connections. Each listener learns of each connection that it opened and that it closed, in this order, also
 * where a listener before it ends the connection at once. One that throws harms neither the connection nor the others.
 */
export class ConnectionListeners implements ConnectionListener {
  private readonly all = new Map<ConnectionListener, Guarded>();
  /** Connections that are being announced, with the code of those that have ended. */
  private readonly announced = new Map<RealtimeConnection, number | undefined>();

  constructor(private readonly logger: Pick<EngineLogger, 'error'>) {}

  /** @returns ends the notifications. */
  add(listener: ConnectionListener): () => void {
    this.all.set(listener, new Guarded(listener, this.logger));
    return () => void this.all.delete(listener);
  }

  opened(connection: RealtimeConnection): void {
    if (this.all.size === 0) return;
    this.announced.set(connection, undefined);
    for (const listener of this.all.values()) listener.tell('opened', connection);
    const code = this.announced.get(connection);
    this.announced.delete(connection);
    if (code !== undefined) this.closed(connection, code);
  }

  closed(connection: RealtimeConnection, code: number): void {
    if (this.announced.has(connection)) this.announced.set(connection, code);
    else for (const listener of this.all.values()) listener.tell('closed', connection, code);
  }
}

/** A listener whose failures are logged: the first of each method, as clients cause them. */
class Guarded {
  private readonly failed = new Set<string>();

  constructor(
    private readonly listener: ConnectionListener,
    private readonly logger: Pick<EngineLogger, 'error'>,
  ) {}

  tell<Name extends keyof ConnectionListener>(
    name: Name,
    ...details: Parameters<ConnectionListener[Name]>
  ): void {
    const [connection] = details;
    try {
      const method = this.listener[name] as (...given: unknown[]) => unknown;
      const result = method.apply(this.listener, details);
      // A method may be `async`, and what it rejects with would end the process.
      if (isPromise(result)) result.then(undefined, (error: unknown) => this.report(name, error, connection));
    } catch (error) {
      this.report(name, error, connection);
    }
  }

  private report(name: string, error: unknown, { about }: RealtimeConnection): void {
    if (this.failed.has(name)) return;
    this.failed.add(name);
    this.logger.error(
      `${name}() of a connection listener failed; further failures of it are not logged`,
      error,
      about,
    );
  }
}
