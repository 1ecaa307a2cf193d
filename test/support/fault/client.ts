import { WebSocket } from 'ws';
import { RealtimeClient, type WebSocketConstructor } from '../../../lib/client/index.js';
import type { Position } from '../../../lib/protocol/position.js';
import type { HistoryRecorder } from './history-recorder.js';

export interface FaultClientOptions {
  readonly history: HistoryRecorder;
  /** Address of a node that lives, as a balancer would choose it. */
  readonly pick: () => string;
  readonly onEvent?: (client: FaultClient, channel: string, id: string) => void;
  /** Makes the library's client. Default {@link libraryClient}. */
  readonly connect?: (name: string) => RealtimeClient;
}

/** A client that records what it is told. */
export interface FaultClient {
  readonly name: string;
  readonly channels: readonly string[];
  /** Connections that ended without having been asked to. */
  readonly disconnects: number;
  /** Where it stands. */
  readonly positions: ReadonlyMap<string, Position>;
  /** Channels that are subscribed now. */
  readonly live: ReadonlySet<string>;
  start(): void;
  stop(): Promise<void>;
}

/** The `ws` class, which opens wherever `pick` says. */
export function balanced(pick: () => string): WebSocketConstructor {
  return class extends WebSocket {
    constructor(_url: string, protocols: string[]) {
      super(pick(), protocols);
    }
  };
}

/** The library's client: what its handlers are told must hold as well (G3). */
export class FaultLibraryClient implements FaultClient {
  disconnects = 0;
  readonly positions = new Map<string, Position>();
  readonly live = new Set<string>();
  readonly client: RealtimeClient;

  constructor(
    readonly name: string,
    readonly channels: readonly string[],
    private readonly options: FaultClientOptions,
  ) {
    this.client = options.connect?.(name) ?? libraryClient(name, options.pick);
  }

  start(): void {
    let wasLive = false;
    this.client.on('state', ({ state }) => {
      if (wasLive && state !== 'live' && state !== 'closed') this.disconnects++;
      wasLive = state === 'live';
    });
    for (const name of this.channels) this.follow(name);
  }

  async stop(): Promise<void> {
    await this.client.close();
  }

  private follow(name: string): void {
    const { history, onEvent } = this.options;
    const channel = this.client.channel(name);
    const note = (): void => {
      const { position } = channel;
      if (position !== undefined) this.positions.set(name, position);
    };
    channel.on('subscribed', (answer) => {
      history.answer(this.name, name, answer);
      note();
    });
    channel.on('reset', (answer) => {
      history.reset(this.name, name, answer);
      note();
    });
    channel.on('gap', (gap) => {
      // What `truncated` leaves out is told by the answer, and once more as a gap, which is the client's own.
      if (gap.reason !== 'trimmed' && gap.reason !== 'limit') history.gap(this.name, name, gap.epoch, gap);
      note();
    });
    channel.on('*', (_, { epoch, seq, id }) => {
      history.deliver(this.name, name, { epoch, seq, id });
      note();
      onEvent?.(this, name, id);
    });
    channel.on('state', (state) => {
      if (state === 'subscribed') this.live.add(name);
      else this.live.delete(name);
    });
    channel.subscribe().catch(() => undefined);
  }
}

export function libraryClient(user: string, pick: () => string): RealtimeClient {
  const client = new RealtimeClient('ws://127.0.0.1:1/realtime', {
    token: () => user,
    webSocket: balanced(pick),
    fetch: false,
  });
  client.on('error', () => undefined);
  return client;
}
