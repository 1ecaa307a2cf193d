import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryService,
  ExternalContextCreator,
  HttpAdapterHost,
  ModuleRef,
} from '@nestjs/core';
import type { ChannelDefinition } from '../../core/ports/channel-definition.js';
import type { EngineApi } from '../../core/engine/api.js';
import { RealtimeEngine } from '../../core/engine/realtime-engine.js';
import type { Broker } from '../../core/ports/broker.js';
import { systemClock } from '../../core/ports/clock.js';
import { systemEntropy } from '../../core/ports/entropy.js';
import { sharedConnectionOf } from '../adapter/shared-connection.js';
import { createAuthenticator } from '../auth/create-authenticator.js';
import { ChannelExplorer } from '../discovery/channel-explorer.js';
import { ChannelScanner } from '../discovery/channel-scanner.js';
import { GatewayExplorer, type BridgedGateways } from '../discovery/gateway-explorer.js';
import { HandlerCompiler } from '../enhancers/handler-compiler.js';
import { ErrorMapper } from '../errors/error-mapper.js';
import { BootProblems } from '../errors/realtime-boot-error.js';
import { isBroker, REALTIME_CONFIG, type RealtimeConfig } from '../options/resolve-options.js';
import { reportBoot } from './boot-report.js';
import { compileConnect, ConnectGate } from './connect-gate.js';
import { withDeadline } from './deadline.js';
import { NestEngineLogger } from './engine-logger.js';
import { checkGlobalEnhancers } from './global-enhancers-check.js';
import { httpServerOf } from './http-server.js';

/** Least time that the broker has to let go at the end, in milliseconds. */
const LEAST_STOP_MS = 1_000;

/**
 * Holds the engine of one application. Lives in the global module, so it starts before every other module's
 * `onModuleInit` and stops after every other module is gone: whoever has `RealtimeService` can publish from the first
 * hook to the last.
 */
@Injectable()
export class RealtimeRuntime implements OnModuleInit, OnApplicationShutdown {
  /** Whether clients connect to this application at all; a publisher has none. */
  attaches = false;
  /** Whether the way in is open now. */
  attached = false;
  /** Definitions of the application's channels. */
  channels: readonly ChannelDefinition[] = [];
  private running: EngineApi | undefined;
  private stopped = false;
  private readonly logger = new NestEngineLogger();
  private readonly mapper = new ErrorMapper(this.logger, systemEntropy);

  constructor(
    @Inject(REALTIME_CONFIG) readonly config: RealtimeConfig,
    private readonly applicationConfig: ApplicationConfig,
    private readonly contexts: ExternalContextCreator,
    private readonly discovery: DiscoveryService,
    private readonly httpAdapterHost: HttpAdapterHost,
    private readonly moduleRef: ModuleRef,
    private readonly gate: ConnectGate,
  ) {}

  /** The engine. @throws Error before `onModuleInit` of this module, e.g. in a constructor. */
  get engine(): EngineApi {
    if (this.running !== undefined) return this.running;
    throw new Error(
      'RealtimeModule has not started yet. Use it from onModuleInit() on, not in a constructor.',
    );
  }

  /** The engine, where it got so far: an application can be closed after a failed start. */
  get engineIfAny(): EngineApi | undefined {
    return this.running;
  }

  async onModuleInit(): Promise<void> {
    const problems = new BootProblems();
    this.checkSetUp(problems);
    checkGlobalEnhancers(this.applicationConfig, this.logger, problems);
    const broker = this.makeBroker(problems);

    const { logger, mapper } = this;
    const compiler = new HandlerCompiler(this.contexts, this.applicationConfig, mapper, problems);
    const scanner = new ChannelScanner(this.discovery, problems);
    const bounds = { broker, dedupeMs: this.config.settings.limits.dedupeMs };
    const channelExplorer = new ChannelExplorer(scanner, compiler, logger, problems);
    const { channels, requests } = await channelExplorer.explore(bounds);
    const gatewayExplorer = new GatewayExplorer(scanner, compiler, mapper, problems);
    const gateways = this.exploreGateways(gatewayExplorer, requests, problems);
    const { settings, auth } = this.config;
    const { discovery, moduleRef, gate } = this;
    const { anonymous } = settings;
    const authenticator = await createAuthenticator(auth, anonymous, moduleRef, mapper, problems);
    const onConnect = await compileConnect(
      this.config.connect,
      { compiler, discovery, moduleRef, gate },
      problems,
    );
    problems.throwIfAny();

    const engine = new RealtimeEngine({
      broker,
      authenticator,
      channels,
      requests: new Map([...requests, ...gateways.requests]),
      ...(onConnect === undefined ? {} : { onConnect }),
      // A class of the application may recognise clients by other things than a token, so it is always asked.
      settings: auth.mode === 'custom' ? { ...settings, anonymous: true } : settings,
      clock: systemClock,
      entropy: systemEntropy,
      logger: this.logger,
    });
    for (const listener of gateways.listeners) engine.addConnectionListener(listener);
    // Before it is started, so that a broker that fails half-way is closed with the application.
    this.running = engine;
    await engine.start();
    this.channels = channels;
    reportBoot(this.config, broker, channels, this.attaches, this.logger);
  }

  async onApplicationShutdown(): Promise<void> {
    const engine = this.running;
    if (engine === undefined || this.stopped) return;
    this.stopped = true;
    const deadlineMs = Math.max(LEAST_STOP_MS, this.config.drainDeadlineMs);
    const closed = await withDeadline(engine.stop(), deadlineMs, systemClock);
    if (!closed) this.logger.warn(`The broker did not close within ${deadlineMs} ms and is left behind`);
  }

  private checkSetUp(problems: BootProblems): void {
    const { auth, publisherOnly } = this.config;
    const runtimes = this.discovery.getProviders().filter(({ metatype }) => metatype === RealtimeRuntime);
    if (runtimes.length > 1) {
      problems.add(
        'RealtimeModule',
        'is imported with forRoot() more than once.',
        'Import it once, in the root module.',
      );
    }
    this.attaches = !publisherOnly && httpServerOf(this.httpAdapterHost) !== undefined;
    if (this.attaches && auth.mode === 'undecided') {
      problems.add(
        'auth',
        'is missing, so it is open who may connect.',
        'Set auth: { jwt: { secret } }, a class, { anonymous: true }, or publisherOnly: true.',
      );
    }
  }

  private makeBroker(problems: BootProblems): Broker {
    const broker = this.config.broker();
    if (!isBroker(broker)) {
      problems.add(
        'broker',
        'is a function that does not return a broker.',
        'Return memoryBroker() or another one.',
      );
      problems.throwIfAny();
    }
    return broker;
  }

  private exploreGateways(
    explorer: GatewayExplorer,
    requests: ReadonlyMap<string, unknown>,
    problems: BootProblems,
  ): BridgedGateways {
    const shared = sharedConnectionOf(this.applicationConfig.getIoAdapter());
    if (shared === undefined) return { requests: new Map(), listeners: [] };
    const gateways = explorer.explore(shared.anonymous);
    for (const event of gateways.requests.keys()) {
      if (requests.has(event)) {
        problems.add(
          event,
          'is a request of a gateway and an @OnRequest without a channel.',
          'Rename one of them.',
        );
      }
    }
    return { requests: gateways.requests, listeners: [shared.listener, ...gateways.listeners] };
  }
}
