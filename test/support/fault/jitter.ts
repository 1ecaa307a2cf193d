import { WebSocket } from 'ws';
import { Line } from '../../../bench/jitter/cutting-proxy.mjs';
import { RealtimeClient } from '../../../lib/client/index.js';
import { httpFallback } from '../../../lib/client/http.js';
import type { TransportName } from '../../../lib/client/transport/fallback.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { elapse, patience, stretched } from '../patience.js';
import { until } from '../until.js';
import { wireChannel } from '../wire/channel.js';
import { NO_RATES } from '../wire/no-rates.js';
import { readLog, startWireCluster, type WireCluster } from '../wire/cluster.js';
import { FaultLibraryClient } from './client.js';
import { checkHistory } from './history-checker.js';
import { HistoryRecorder } from './history-recorder.js';
import type { FinalLog, HistoryReport } from './history-types.js';
import { publishRecorded } from './publisher.js';
import { shuffled } from './shuffle.js';

/**
 * What happens to all that a client has open. `reset`: RST to both sides · `silent`: nothing passes any more, and nobody learns it ·
 * `deaf`: what the client sends still arrives, and nothing comes back.
 */
export type Cut = 'reset' | 'silent' | 'deaf';

export interface JitterOptions {
  readonly seed: number;
  /** Carries the clients, one after the other. */
  readonly transports: readonly TransportName[];
  readonly clients: number;
  /** Of each client. */
  readonly cuts: readonly Cut[];
  /** Longest time from one cut to the next. */
  readonly everyMs: number;
}

export interface JitterResult {
  readonly report: HistoryReport;
  /** Cuts that ended something. */
  readonly cuts: number;
}

const CHANNELS = Array.from({ length: 4 }, (_, index) => `rooms.${index + 1}`);
const CHANNELS_PER_CLIENT = 3;
/** Of each client and of the server. */
const PUBLISH_MS = stretched(40);
const PATIENCE_MS = patience(30_000);

/** A client behind a line of its own, which leads to the other node after each cut. */
class JitteredClient {
  cuts = 0;
  private home: number;
  private published = 0;
  private readonly underWay: Promise<void>[] = [];

  private constructor(
    readonly line: Line,
    readonly inner: FaultLibraryClient,
    number: number,
    private readonly history: HistoryRecorder,
    private readonly entropy: SeededEntropy,
  ) {
    this.home = number;
  }

  static async start(
    number: number,
    { nodes }: WireCluster,
    history: HistoryRecorder,
    { seed, transports }: JitterOptions,
  ): Promise<JitteredClient> {
    const entropy = new SeededEntropy(seed * 1_000 + number);
    const transport = transports[number % transports.length] ?? 'websocket';
    const line = await Line.open((): number => {
      const node = nodes[client.home % nodes.length];
      return Number(new URL(node?.url ?? '').port);
    });
    const connect = (name: string): RealtimeClient => {
      const made = new RealtimeClient(`ws://127.0.0.1:${line.port}/realtime`, {
        token: () => name,
        webSocket: WebSocket,
        random: () => entropy.random(),
        // How long a request over HTTP may take before it is made again.
        connectTimeoutMs: stretched(1_500),
        requestTimeoutMs: PATIENCE_MS,
        ...(transport === 'websocket' ? {} : { fallback: httpFallback({ transports: [transport] }) }),
      });
      made.on('error', () => undefined);
      return made;
    };
    const channels = shuffled(CHANNELS, entropy).slice(0, CHANNELS_PER_CLIENT);
    const inner = new FaultLibraryClient(`${transport}-${number}`, channels, {
      history,
      pick: () => '',
      connect,
    });
    const client = new JitteredClient(line, inner, number, history, entropy);
    inner.start();
    return client;
  }

  /** Publishes and is cut until all cuts are over. Resolves when every publish has an outcome. */
  async play(cuts: readonly Cut[], everyMs: number): Promise<void> {
    const timer = setInterval(() => this.publish(), PUBLISH_MS);
    for (const cut of cuts) {
      await elapse(this.entropy.int(everyMs));
      // The acknowledgement is on its way, or the publish itself.
      this.publish();
      for (let turns = this.entropy.int(6); turns > 0; turns--) await new Promise(setImmediate);
      this.home++;
      const { line } = this;
      if (cut === 'reset' ? line.reset() : line.hold(cut === 'deaf' ? 'down' : 'both')) this.cuts++;
    }
    clearInterval(timer);
    await Promise.all(this.underWay);
  }

  async stop(): Promise<void> {
    await this.inner.stop();
    await this.line.close();
  }

  private publish(): void {
    const { name, channels, client } = this.inner;
    const publish = {
      publisher: name,
      channel: this.entropy.pick(channels),
      id: `${name}-${++this.published}`,
    };
    this.underWay.push(publishRecorded(client, this.history, publish));
  }
}

/**
 * Clients of the library whose connections are cut again and again, at moments and in ways of the seed, while the application and they
 * themselves publish, over two nodes that share a log. Judged by {@link checkHistory}.
 */
export async function playJitter(options: JitterOptions): Promise<JitterResult> {
  const cluster = await startWireCluster(2, {
    channels: [
      wireChannel('rooms.:room', {
        log: { size: 100_000 },
        policy: { replayLimit: 100_000 },
        publish: ['said'],
      }),
    ],
    settings: {
      heartbeat: { intervalMs: stretched(300), timeoutMs: stretched(700) },
      retry: { baseMs: 20, maxMs: 200, firstSpreadMs: 60, stableMs: 500 },
      limits: {
        ...NO_RATES,
        maxConnectionsPerAddress: 1e5,
        connectsPerSecond: 1e6,
      },
    },
  });
  const history = new HistoryRecorder();
  const clients: JitteredClient[] = [];
  try {
    for (let number = 0; number < options.clients; number++)
      clients.push(await JitteredClient.start(number, cluster, history, options));
    await until(
      'everybody to be subscribed',
      () => clients.every(({ inner }) => inner.live.size === inner.channels.length),
      PATIENCE_MS,
    );
    let published = 0;
    const publish = async (channel: string): Promise<void> => {
      const id = `application-${++published}`;
      history.invoke('application', channel, id);
      const { application } = (cluster.nodes[0] as WireCluster['nodes'][number]).engine;
      history.acknowledged(id, await application.publish(channel, 'said', { id }, { id }));
    };
    const underWay: Promise<void>[] = [];
    const timer = setInterval(
      () => underWay.push(publish(CHANNELS[published % CHANNELS.length] as string)),
      PUBLISH_MS,
    );
    await Promise.all(
      clients.map((client, number) =>
        client.play(shuffled(options.cuts, new SeededEntropy(options.seed + number)), options.everyMs),
      ),
    );
    clearInterval(timer);
    await Promise.all(underWay);
    // The last word in every channel: whoever missed the end of the log learns it now.
    for (const channel of CHANNELS) await publish(channel);
    const logs = await Promise.all(CHANNELS.map((channel) => logOf(cluster, channel)));
    // Who does not reach it is a finding of the checker.
    await until('everybody to reach the end', () => haveReached(clients, logs), PATIENCE_MS).catch(
      () => undefined,
    );
    return {
      report: checkHistory(history, logs),
      cuts: clients.reduce((sum, { cuts }) => sum + cuts, 0),
    };
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await cluster.close();
  }
}

async function logOf({ nodes }: WireCluster, channel: string): Promise<FinalLog> {
  const { events, position } = await readLog(nodes[0] as WireCluster['nodes'][number], channel);
  return { channel, position, events };
}

function haveReached(clients: readonly JitteredClient[], logs: readonly FinalLog[]): boolean {
  return clients.every(({ inner }) =>
    inner.channels.every((channel) => {
      const tip = logs.find((log) => log.channel === channel)?.position;
      const own = inner.positions.get(channel);
      return own?.seq === tip?.seq && own?.epoch === tip?.epoch;
    }),
  );
}
