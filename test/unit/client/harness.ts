import { WebSocket } from 'ws';
import type { RealtimeClientOptions } from '../../../lib/client/options.js';
import type { ClientState, ClientStatus, ErrorContext } from '../../../lib/client/state.js';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import type { Codec } from '../../../lib/protocol/codecs/codec.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { ScriptedServer, until, type ScriptedConnection } from '../../support/wire/scripted-server.js';

/** A real client, a scripted server, and time in the test's hands. */
export class Harness {
  readonly clock = new ManualClock();
  readonly states: ClientStatus[] = [];
  readonly errors: { readonly error: unknown; readonly context: ErrorContext }[] = [];
  /** What `random()` gives. */
  random = 0.5;
  readonly client: RealtimeClient;
  private ids = 0;

  private constructor(
    readonly server: ScriptedServer,
    options: RealtimeClientOptions,
  ) {
    this.client = new RealtimeClient(server.url, {
      webSocket: WebSocket,
      clock: this.clock,
      random: () => this.random,
      ids: () => `id-${++this.ids}`,
      ...options,
    });
    this.client.on('state', (status) => this.states.push(status));
    this.client.on('error', (error, context) => this.errors.push({ error, context }));
  }

  static async start(options: RealtimeClientOptions = {}, codec?: Codec): Promise<Harness> {
    return new Harness(
      await ScriptedServer.start(codec),
      codec === undefined ? options : { codec, ...options },
    );
  }

  /** Connects and is welcomed. */
  async live(welcome: Record<string, unknown> = {}): Promise<ScriptedConnection> {
    void this.client.connect();
    const connection = await this.server.accept();
    await connection.welcome(welcome);
    await this.state('live');
    return connection;
  }

  /** Lets the wait of `waiting` pass: the next attempt, which nobody has answered. */
  async again(): Promise<ScriptedConnection> {
    await this.state('waiting');
    this.clock.advance(this.client.status.delayMs ?? 0);
    return this.server.accept();
  }

  /** Lets the client come back from `waiting`. */
  async back(welcome: Record<string, unknown> = {}): Promise<ScriptedConnection> {
    const connection = await this.again();
    await connection.welcome(welcome);
    await this.state('live');
    return connection;
  }

  state(state: ClientState): Promise<void> {
    return until(() => this.client.state === state, `the state ${state}, it is ${this.client.state}`);
  }

  async stop(): Promise<void> {
    void this.client.close();
    await this.server.stop();
  }
}

/** The code a promise is rejected with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await promise };
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}
