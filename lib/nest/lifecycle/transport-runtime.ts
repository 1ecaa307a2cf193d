import {
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { TimeLeft } from '../../core/async/time-left.js';
import { systemClock } from '../../core/ports/clock.js';
import type { Transport } from '../../core/ports/transport.js';
import { HttpSessionTransport } from '../../transports/http-session/index.js';
import { SseTransport } from '../../transports/sse/index.js';
import { WebSocketTransport } from '../../transports/websocket/index.js';
import { NestEngineLogger } from './engine-logger.js';
import { endHalfSentRequests } from './half-sent-requests.js';
import { warnOfKeepAlive } from './keep-alive.js';
import { OpenConnections } from './open-connections.js';
import { ProbeRoute } from './probe-route.js';
import { httpServerOf, RealtimeRuntime } from './realtime-runtime.js';
import { KEPT_FOR_BROKER_MS, stayAlive } from './shutdown.js';

/** How much longer than its deadline a drain may take before the shutdown continues without it, in milliseconds. */
const DRAIN_SLACK_MS = 1_000;

/** Bounds of the time that a client has to answer a close frame, in milliseconds. */
const LEAST_CLOSE_MS = 1_000;
const MOST_CLOSE_MS = 5_000;

/**
 * Attaches the transports to the application's HTTP server, and closes them. Not in the global module: that one is
 * destroyed last, after the databases that handlers need, and clients must be gone before.
 */
@Injectable()
export class TransportRuntime
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  private readonly transports: Transport[] = [];
  private readonly logger = new NestEngineLogger();
  private connections: OpenConnections | undefined;

  constructor(
    private readonly runtime: RealtimeRuntime,
    private readonly httpAdapterHost: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    if (!this.runtime.attaches) return;
    const { engine, config } = this.runtime;
    const { settings, transport, sse: servesFeeds, httpSessions: servesSessions } = config;
    const options = {
      ...transport,
      closeTimeoutMs: this.closeTimeoutMs,
      onError: (error: unknown) => this.logger.error('A connection could not be opened', error),
      onWarning: (message: string) => this.logger.warn(message),
    };
    const websocket = new WebSocketTransport(engine.host, options);
    const feeds = new SseTransport(engine.host, {
      ...options,
      maxChannels: settings.limits.maxChannels,
      heartbeatMs: settings.heartbeat.intervalMs,
      retry: settings.retry,
    });
    this.transports.push(websocket, ...(servesFeeds ? [feeds] : []));
    if (servesSessions) {
      const { heartbeat } = settings;
      const { variants } = feeds;
      this.transports.push(new HttpSessionTransport(engine.host, { ...options, heartbeat, variants }));
    }
    this.runtime.feeds = feeds;
    // The routes of the application are registered already. After this hook Nest's 404 would precede the probe's route.
    new ProbeRoute(websocket, this.logger).register(this.httpAdapterHost.httpAdapter);
  }

  /** A client that does not answer a close frame must not delay a shutdown that the application wants to be short. */
  private get closeTimeoutMs(): number {
    return Math.min(MOST_CLOSE_MS, Math.max(LEAST_CLOSE_MS, this.runtime.config.drainDeadlineMs));
  }

  onApplicationBootstrap(): void {
    const server = httpServerOf(this.httpAdapterHost);
    if (server === undefined) return;
    if (this.transports.length > 0) {
      this.connections = new OpenConnections(server);
      warnOfKeepAlive(server, this.runtime.config.transport.trustProxy, systemClock, this.logger);
    }
    for (const transport of this.transports) transport.attach(server);
    if (this.runtime.feeds?.attached === false) this.runtime.feeds.watch(server);
    this.runtime.attached = this.transports.some(({ attached }) => attached);
  }

  onModuleDestroy(): void {
    this.runtime.engineIfAny?.beginDrain();
    // What they need of the application may end from now on.
    void this.runtime.closeConsumers();
  }

  async beforeApplicationShutdown(): Promise<void> {
    const { runtime } = this;
    const { drainDeadlineMs } = runtime.config;
    const { engineIfAny: engine, timeLeft } = runtime;
    await stayAlive(async () => {
      // Until the transports are closed, upgrades are answered with 503, so clients go to another node at once.
      if (engine !== undefined) {
        const drain = engine.drain(drainDeadlineMs);
        const drained = timeLeft.share({ mostMs: drainDeadlineMs + DRAIN_SLACK_MS }).wait(drain);
        await Promise.all([drained, runtime.closeConsumers()]);
      }
      // They hear of what the drain did. A sink that failed may need the time that the clients take.
      runtime.audit.hurry();
      const time = timeLeft.share({ keepMs: KEPT_FOR_BROKER_MS });
      await Promise.all([runtime.closeHooks(time), this.closeTransports(time)]);
    });
    const server = httpServerOf(this.httpAdapterHost);
    if (server !== undefined && this.transports.length > 0)
      endHalfSentRequests(
        server,
        systemClock,
        // Uploads have what the end of the clients left of its time.
        () => timeLeft.ms <= KEPT_FOR_BROKER_MS,
        this.connections,
      );
  }

  private async closeTransports(time: TimeLeft): Promise<void> {
    this.runtime.attached = false;
    const transports: Transport[] = [...this.transports];
    const { feeds } = this.runtime;
    if (feeds !== undefined && !transports.includes(feeds)) transports.push(feeds);
    for (const transport of transports) transport.close();
    // Until then the server must not close, as Nest makes it do next.
    const share = time.share({ mostMs: this.closeTimeoutMs });
    const { ms } = share;
    if (await share.wait(Promise.all(transports.map(async (transport) => transport.whenLeft?.())))) return;
    const cut = transports.reduce((sum, transport) => sum + (transport.cut?.() ?? 0), 0);
    this.logger.warn(
      `${cut} connections did not answer their close, or read its reason, within ${Math.round(ms)} ms, and were cut`,
    );
  }
}
