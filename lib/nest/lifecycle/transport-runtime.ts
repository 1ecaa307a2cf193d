import {
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { systemClock } from '../../core/ports/clock.js';
import { WebSocketTransport } from '../../transports/websocket/index.js';
import { withDeadline } from './deadline.js';
import { NestEngineLogger } from './engine-logger.js';
import { httpServerOf } from './http-server.js';
import { ProbeRoute } from './probe-route.js';
import { RealtimeRuntime } from './realtime-runtime.js';

/** What a drain may take beyond its deadline before it is given up, in milliseconds. */
const DRAIN_SLACK_MS = 1_000;

/** Bounds of the time that a client has to answer a close frame, in milliseconds. */
const LEAST_CLOSE_MS = 1_000;
const MOST_CLOSE_MS = 5_000;

/**
 * Attaches the way in to the application's HTTP server, and takes it off again. Not in the global module: that one is
 * destroyed last, after the databases that handlers need, and clients must be gone before.
 */
@Injectable()
export class TransportRuntime
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  private transport: WebSocketTransport | undefined;
  private readonly logger = new NestEngineLogger();

  constructor(
    private readonly runtime: RealtimeRuntime,
    private readonly httpAdapterHost: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    if (!this.runtime.attaches) return;
    this.transport = new WebSocketTransport(this.runtime.engine.host, {
      ...this.runtime.config.transport,
      closeTimeoutMs: this.closeTimeoutMs,
      onError: (error) => this.logger.error('A connection could not be opened', error),
    });
    // Routes of the application are in already; a moment later Nest's 404 would be before this one.
    new ProbeRoute(this.transport, this.logger).register(this.httpAdapterHost.httpAdapter);
  }

  /** Who does not answer a close frame must not hold up an end that the application wants to be short. */
  private get closeTimeoutMs(): number {
    return Math.min(MOST_CLOSE_MS, Math.max(LEAST_CLOSE_MS, this.runtime.config.drainDeadlineMs));
  }

  onApplicationBootstrap(): void {
    const server = httpServerOf(this.httpAdapterHost);
    if (this.transport === undefined || server === undefined) return;
    this.transport.attach(server);
    this.runtime.attached = true;
  }

  onModuleDestroy(): void {
    this.runtime.engineIfAny?.beginDrain();
  }

  async beforeApplicationShutdown(): Promise<void> {
    const engine = this.runtime.engineIfAny;
    const { drainDeadlineMs } = this.runtime.config;
    // Until then upgrades are answered with 503, so clients go to another node instead of waiting for this one.
    if (engine !== undefined) {
      await withDeadline(engine.drain(drainDeadlineMs), drainDeadlineMs + DRAIN_SLACK_MS, systemClock);
    }
    this.runtime.attached = false;
    this.transport?.dispose();
  }
}
