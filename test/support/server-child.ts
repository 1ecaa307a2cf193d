import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './redis/process.js';
import { stopProcess } from './stop-process.js';
import { until } from './until.js';

/** A server of a test's own that keeps its records in a temporary folder, is ended by its pid, and can be started again. */
export abstract class ServerChild {
  readonly folder: string;
  private child: ChildProcess | undefined;

  /** @param program for errors and the name of the folder */
  protected constructor(
    private readonly program: string,
    readonly port: number,
    private readonly startMs: number,
  ) {
    this.folder = mkdtempSync(join(tmpdir(), `rt-${program.toLowerCase()}-`));
  }

  /** Starts a server that was made; one that does not start leaves nothing behind. */
  protected static async started<Server extends ServerChild>(server: Server): Promise<Server> {
    try {
      await server.prepare();
      await server.launch();
      return server;
    } catch (error) {
      await server.dispose();
      throw error;
    }
  }

  /** A port for a server that is to be found by others than before. */
  static anotherPort(): Promise<number> {
    return freePort();
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Where its records are. To be changed only while it is stopped. */
  get data(): string {
    return join(this.folder, 'data');
  }

  /** Starts the process that was ended; what it had on disk is there again. @param port where; default: where it was at first */
  async launch(port = this.port): Promise<void> {
    const log = openSync(this.log, 'a');
    let child: ChildProcess;
    try {
      child = this.spawn(port, log);
    } finally {
      closeSync(log);
    }
    this.child = child;
    let failed: Error | undefined;
    child.once('error', (error) => (failed = error));
    await until(
      `${this.program} to serve on port ${port}`,
      () => {
        if (failed !== undefined) throw failed;
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(
            `${this.program} ended with ${child.exitCode ?? child.signalCode}: ${this.lastLines()}`,
          );
        return this.isServing();
      },
      this.startMs,
    );
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends the process in order: it writes everything first. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Stops the world for this server: connections stay, nothing is answered. */
  async pause(): Promise<void> {
    if (this.child?.pid !== undefined) await stopProcess(this.child.pid);
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What must be there before the first start. */
  protected prepare(): void | Promise<void> {}

  /** @param log takes what it prints */
  protected abstract spawn(port: number, log: number): ChildProcess;

  /** Whether clients are served: to listen may be too early. */
  protected abstract isServing(): Promise<boolean>;

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    // One that could not be started has no process, and tells no end.
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // One that is paused would not see any other signal.
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  private get log(): string {
    return join(this.folder, 'out.log');
  }

  private lastLines(): string {
    return readFileSync(this.log, 'utf8').split('\n').slice(-15).join('\n');
  }
}
