import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { ChannelDefinition, ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import type { EngineOptions, EngineSettings } from '../../../lib/core/ports/settings.js';
import { Audit } from '../../../lib/core/engine/audit/audit.js';
import { RealtimeEngine } from '../../../lib/core/engine/realtime-engine.js';
import type { AuditSink } from '../../../lib/core/ports/audit.js';
import type { Broker } from '../../../lib/core/ports/broker.js';
import { systemClock, type Clock } from '../../../lib/core/ports/clock.js';
import type { Entropy } from '../../../lib/core/ports/entropy.js';
import type { RealtimeTracing } from '../../../lib/core/ports/tracer.js';
import type { Authenticator } from '../../../lib/core/ports/identity.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import {
  refusalBody,
  refusalHeaders,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from '../../../lib/transports/websocket/index.js';
import { SseTransport, type SseTransportOptions } from '../../../lib/transports/sse/index.js';
import {
  HttpSessionTransport,
  type HttpSessionTransportOptions,
} from '../../../lib/transports/http-session/index.js';
import { settle } from '../engine/manual-clock.js';
import { RecordingLogger, type LogRecord } from '../engine/recording-logger.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { patience } from '../patience.js';
import { until } from '../until.js';
import { WireClient, type WireClientOptions } from './client.js';

/** Turns without a byte on the way: what is handled in several turns may answer meanwhile. */
const CALM_TURNS = 3;

type Grouped = 'limits' | 'heartbeat' | 'retry' | 'abuse' | 'outbox';

/** Settings that differ from the defaults; a group such as `limits` may be given in part. */
export type WireSettings = Partial<Omit<EngineSettings, Grouped>> & {
  readonly [Group in Grouped]?: Partial<EngineSettings[Group]>;
};

/** What {@link startWireServer} can be told. */
export interface WireServerOptions {
  readonly channels?: readonly ChannelDefinition[];
  readonly requests?: ReadonlyMap<string, ConnectionRequest>;
  readonly settings?: WireSettings;
  /** Default: {@link nameAuthenticator}. */
  readonly authenticator?: Authenticator;
  readonly onConnect?: EngineOptions['onConnect'];
  /** Is handed the audit entries of acts, those of several nodes one after the other. Default: nobody. */
  readonly audit?: AuditSink;
  readonly shedding?: EngineOptions['shedding'];
  /** Default: a memory broker on `clock`. */
  readonly broker?: Broker;
  /** Default: the system's. A `ManualClock` must be advanced by the test; sockets do not wait for it. */
  readonly clock?: Clock;
  /** Default: seeded, so that ids and jitter are the same in every run. */
  readonly entropy?: Entropy;
  readonly transport?: Omit<WebSocketTransportOptions, 'clock'>;
  readonly tracing?: RealtimeTracing;
  /** Answers requests of every other path, e.g. with a page. */
  readonly pages?: RequestListener;
  /** Default: without TLS. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Of the plain streams, beside those of `transport` that both have. */
  readonly sse?: Omit<SseTransportOptions, 'clock'>;
  /** Of the sessions over HTTP, beside those of `transport`. */
  readonly http?: Omit<HttpSessionTransportOptions, 'clock'>;
}

/** A server of the library's parts, without Nest, on a port of its own. */
export interface WireServer {
  /** Address of the endpoint, e.g. `ws://127.0.0.1:40001/realtime`. */
  readonly url: string;
  /** The same address for HTTP: the probe of P18. */
  readonly httpUrl: string;
  /** That the transports are attached to. */
  readonly httpServer: Server;
  readonly engine: RealtimeEngine;
  readonly broker: Broker;
  readonly transport: WebSocketTransport;
  /** Plain streams, at `/sse` below the path of `transport`. */
  readonly sse: SseTransport;
  /** Sessions over HTTP, at `/sse`, `/poll` and `/send` below that path. */
  readonly http: HttpSessionTransport;
  /** What the engine logged, and what went wrong in the transport (`error`). */
  readonly records: readonly LogRecord[];
  /** Opens a raw connection that {@link close} cuts. Nothing is sent. */
  open(options?: WireClientOptions): Promise<WireClient>;
  /** Opens a connection and greets. @param token a user's name for {@link nameAuthenticator}. */
  connect(token?: string, options?: WireClientOptions): Promise<WireClient>;
  /** Resolves when both sides have read all that the other wrote: behind it, "nothing came" is worth something. */
  rest(client: WireClient): Promise<void>;
  /** HTTP requests that the server has read and not answered to the end. */
  readonly unanswered: number;
  /** Ends every socket of the HTTP server at once, as a network does. */
  cut(): void;
  /** Ends as a process does that is killed: nobody is sent a last word. */
  kill(): Promise<void>;
  /** Cuts the clients of `open` and `connect`, stops engine, broker and HTTP server. Idempotent. */
  close(): Promise<void>;
}

/**
 * Takes a token for the name of its user, which keeps tests readable. `bad…` is refused as `unauthorized`, `old…` as
 * `token_expired`, and `name+500` ends in 500 ms. Without a token the client is anonymous, where settings allow it.
 */
export function nameAuthenticator(clock: Clock): Authenticator {
  return {
    authenticate({ token }) {
      if (token === undefined) return {};
      if (token.startsWith('bad')) throw new RealtimeError('unauthorized');
      if (token.startsWith('old')) throw new RealtimeError('token_expired');
      const [id = token, life] = token.split('+');
      return { user: { id }, ...(life === undefined ? {} : { expiresAt: clock.now() + Number(life) }) };
    },
  };
}

/**
 * Starts a server that speaks the wire protocol.
 *
 * @example
 * const server = await startWireServer({ channels: [wireChannel('rooms.:room', { publish: ['said'] })] });
 * const alice = await server.connect('alice');
 * await alice.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
 * await server.close();
 */
export async function startWireServer(options: WireServerOptions = {}): Promise<WireServer> {
  const { clock = systemClock, entropy = new SeededEntropy(), channels = [] } = options;
  const logger = new RecordingLogger();
  const broker = options.broker ?? memoryBroker({ clock, entropy });
  const settings = settingsOf(options.settings, clock === systemClock);
  const engine = new RealtimeEngine({
    broker,
    tracer: options.tracing?.start({ nodeId: settings.nodeId, clock, entropy, logger }),
    authenticator: options.authenticator ?? nameAuthenticator(clock),
    channels,
    settings,
    clock,
    entropy,
    logger,
    shedding: options.shedding,
    ...(options.requests === undefined ? {} : { requests: options.requests }),
    ...(options.onConnect === undefined ? {} : { onConnect: options.onConnect }),
    ...(options.audit === undefined ? {} : { observers: [auditOf(options.audit).observer] }),
  });
  function auditOf(sink: AuditSink): Audit {
    const { nodeId, limits: bounds } = settingsOf(options.settings, clock === systemClock);
    return new Audit({
      sinks: [sink],
      refusals: false,
      refusalsPerMinute: 60,
      maxEntries: 1_000,
      maxBytes: 1024 * 1024,
      writeTimeoutMs: 1_000,
      nodeId,
      ipv6Prefix: bounds.ipv6Prefix,
      clock,
      entropy,
      logger,
    });
  }
  const told = {
    clock,
    onError: (error: unknown) => logger.error('transport', error),
    onWarning: (message: string) => logger.warn(message),
    ...options.transport,
  };
  const transport = new WebSocketTransport(engine.host, told);
  const { heartbeat, limits, retry } = settings;
  const { maxChannels } = limits;
  const random = (): number => entropy.random();
  const fromSettings = { heartbeatMs: heartbeat.intervalMs, maxChannels, retry, random };
  const sse = new SseTransport(engine.host, { ...told, ...fromSettings, ...options.sse });
  const { variants } = sse;
  const httpSessions = new HttpSessionTransport(engine.host, {
    ...told,
    heartbeat,
    entropy,
    variants,
    ...options.http,
  });
  const onRequest: RequestListener = (req, res) => {
    // What a proxy's check asks an application for.
    if (req.url === '/health/ready') return void res.end();
    if (options.pages !== undefined && req.url?.startsWith(transport.path) !== true) {
      options.pages(req, res);
      return;
    }
    void transport.probe(req).then((refusal) => {
      res.writeHead(refusal.status, refusalHeaders(refusal)).end(refusalBody(refusal));
    });
  };
  const http = options.tls === undefined ? createServer(onRequest) : createTlsServer(options.tls, onRequest);
  const sockets = new Map<number | undefined, Socket>();
  http.on('connection', (socket) => {
    const { remotePort } = socket;
    sockets.set(remotePort, socket);
    socket.once('close', () => sockets.delete(remotePort));
  });
  const unanswered = new Set<ServerResponse>();
  // Its listeners do not see what others claimed.
  const emit = http.emit.bind(http) as (event: string, ...args: unknown[]) => boolean;
  http.emit = (event: string, ...args: unknown[]): boolean => {
    if (event === 'request') {
      const response = args[1] as ServerResponse;
      unanswered.add(response);
      response.once('close', () => unanswered.delete(response));
    }
    return emit(event, ...args);
  };
  await engine.start();
  transport.attach(http);
  sse.attach(http);
  httpSessions.attach(http);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(http.address() as AddressInfo).port}${transport.path}`;
  const s = options.tls === undefined ? '' : 's';
  const url = `ws${s}://${address}`;

  const clients = new Set<WireClient>();
  const open = async (clientOptions: WireClientOptions = {}): Promise<WireClient> => {
    const client = await WireClient.open(url, clientOptions);
    clients.add(client);
    return client;
  };
  let closing: Promise<void> | undefined;
  const shutDown = async (): Promise<void> => {
    for (const client of clients) client.terminate();
    await engine.stop();
    transport.close();
    sse.close();
    httpSessions.close();
    http.closeAllConnections();
    await new Promise<void>((resolve) => http.close(() => resolve()));
  };
  return {
    url,
    httpUrl: `http${s}://${address}`,
    httpServer: http,
    engine,
    broker,
    transport,
    sse,
    http: httpSessions,
    records: logger.records,
    open,
    async connect(token, clientOptions) {
      const client = await open(clientOptions);
      await client.hello(token);
      return client;
    },
    async rest(client) {
      const here = (client.socket as unknown as { readonly _socket: Socket })._socket;
      const there = sockets.get(here.localPort);
      const isCalm = () => here.bytesRead === there?.bytesWritten && there.bytesRead === here.bytesWritten;
      await until('both sides to have read everything', async () => {
        for (let turn = 0; turn < CALM_TURNS && isCalm(); turn++) await settle();
        return isCalm();
      });
    },
    get unanswered() {
      return unanswered.size;
    },
    cut() {
      for (const socket of sockets.values()) socket.destroy();
    },
    kill() {
      http.close();
      for (const socket of sockets.values()) socket.destroy();
      return (closing ??= shutDown());
    },
    close: () => (closing ??= shutDown()),
  };
}

/**
 * Longer than any test. On a real clock a client that does not read, or a process that stands still, would be taken for
 * dead on a slow machine.
 */
const NO_HEARTBEAT = { intervalMs: 3_600_000, timeoutMs: 3_600_000 };

function settingsOf(settings: WireSettings | undefined = {}, isRealTime: boolean): EngineSettings {
  const { limits, heartbeat, retry, abuse, outbox, ...rest } = settings;
  return {
    ...ENGINE_DEFAULTS,
    // On a loaded machine events would wait for others, and tests count on the turn in which they are written.
    maxFlushDelayMs: 0,
    nodeId: 'node-1',
    ticketSecret: 'a secret of tests',
    ...(isRealTime ? { helloTimeoutMs: patience(ENGINE_DEFAULTS.helloTimeoutMs) } : {}),
    ...rest,
    limits: { ...ENGINE_DEFAULTS.limits, ...limits },
    heartbeat: { ...(isRealTime ? NO_HEARTBEAT : ENGINE_DEFAULTS.heartbeat), ...heartbeat },
    retry: { ...ENGINE_DEFAULTS.retry, ...retry },
    abuse: { ...ENGINE_DEFAULTS.abuse, ...abuse },
    outbox: { ...ENGINE_DEFAULTS.outbox, ...outbox },
  };
}
