import { httpFallback, type HttpFallbackOptions } from '../../../../lib/client/http.js';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import { RealtimeClient } from '../../../../lib/client/realtime-client.js';
import type { ClientState, ClientStatus } from '../../../../lib/client/state.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { until } from '../../../support/wire/scripted-server.js';
import { fakeSockets, type FakeSocket, type SocketPlan } from '../fake-socket.js';
import { ScriptedFetch } from './scripted-fetch.js';

/** A client with the fallback, requests and sockets without a network, and time in the test's hands. */
export class FallbackHarness {
  readonly clock = new ManualClock();
  readonly http = new ScriptedFetch();
  readonly states: ClientStatus[] = [];
  readonly lines: string[] = [];
  readonly client: RealtimeClient;
  readonly sockets: readonly FakeSocket[];
  private ids = 0;

  /** What each socket does once it was made; by default nothing. */
  plan: SocketPlan = () => undefined;

  constructor(options: RealtimeClientOptions = {}, fallback: HttpFallbackOptions = {}) {
    const { webSocket, made } = fakeSockets((socket) => this.plan(socket));
    this.sockets = made;
    this.client = new RealtimeClient('https://a.example/rt', {
      webSocket,
      clock: this.clock,
      random: () => 0.5,
      ids: () => `id-${++this.ids}`,
      fetch: this.http.probe,
      fallback: httpFallback({ fetch: this.http.fetch, ...fallback }),
      log: (_level, message) => this.lines.push(message),
      ...options,
    });
    this.client.on('state', (status) => this.states.push(status));
    this.client.on('error', () => undefined);
  }

  state(state: ClientState): Promise<void> {
    return until(() => this.client.state === state, `the state ${state}, it is ${this.client.state}`);
  }

  /** Waits until the client waits for its next attempt, and begins that. */
  async again(): Promise<void> {
    await this.state('waiting');
    this.clock.advance(this.client.status.delayMs ?? 0);
    await settle();
  }

  /** Lets time pass in steps, so that promises settle in between. */
  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
  }

  /** Opens, and its session is over an event stream. */
  async overStream(): Promise<Awaited<ReturnType<ScriptedFetch['stream']>>> {
    void this.client.connect();
    const stream = await this.http.stream();
    await this.state('live');
    return stream;
  }
}

/** A socket that fails at once, as an upgrade that a proxy refuses. */
export const refused: SocketPlan = (socket) => socket.fire('close', { code: 1006, reason: '' });
