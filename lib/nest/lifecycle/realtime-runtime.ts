import type { Server } from 'node:http';
import { Server as TlsServer } from 'node:tls';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryService,
  ExternalContextCreator,
  HttpAdapterHost,
  ModuleRef,
} from '@nestjs/core';
import type { TimeLeft } from '../../core/async/time-left.js';
import { OwnProcess } from '../../core/engine/overload/process-sampler.js';
import { Audit } from '../../core/engine/audit/audit.js';
import { RealtimeEngine } from '../../core/engine/realtime-engine.js';
import type { Broker } from '../../core/ports/broker.js';
import type { ConnectionRequest } from '../../core/ports/channel-definition.js';
import { systemClock } from '../../core/ports/clock.js';
import { systemEntropy } from '../../core/ports/entropy.js';
import type { EngineOptions } from '../../core/ports/settings.js';
import type { ConsumerRun } from '../../core/ports/consumers.js';
import type { Observer } from '../../core/ports/observer.js';
import type { ConnectionListener } from '../../core/ports/realtime-connection.js';
import type { SseTransport } from '../../transports/sse/index.js';
import { compileTrust } from '../../transports/http/client-address.js';
import { sharedConnectionOf } from '../adapter/shared-connection.js';
import { createAuthenticator } from '../auth/create-authenticator.js';
import { ChannelExplorer } from '../discovery/channel-explorer.js';
import type { ChannelHost } from '../discovery/channel-methods.js';
import { ChannelScanner } from '../discovery/channel-scanner.js';
import { GatewayExplorer, type BridgedGateways } from '../discovery/gateway-explorer.js';
import { HandlerCompiler } from '../enhancers/handler-compiler.js';
import { ErrorMapper } from '../errors/error-mapper.js';
import { BootProblems } from '../errors/realtime-boot-error.js';
import type { HooksRun } from '../hooks.js';
import { fingerprintOf } from '../options/fingerprint.js';
import { isBroker, REALTIME_CONFIG, type RealtimeConfig } from '../options/resolve-options.js';
import { reportBoot } from './boot-report.js';
import { compileConnect, ConnectGate } from './connect-gate.js';
import { NestEngineLogger } from './engine-logger.js';
import { openConsumers } from './open-consumers.js';
import { openHooks } from './open-hooks.js';
import { CONSUMERS_MS, KEPT_FOR_AUDIT_MS, LEAST_MS, stayAlive, timeOfShutdown } from './shutdown.js';

/** What the engine is made from, of the application's own: where its classes are too. */
export interface Declared extends Pick<EngineOptions, 'authenticator' | 'broker' | 'channels' | 'onConnect'> {
  readonly requests: ReadonlyMap<string, ConnectionRequest>;
  /** The classes of the channels. */
  readonly hosts: readonly ChannelHost[];
  readonly listeners: readonly ConnectionListener[];
  /** Not started. */
  readonly hooks: HooksRun | undefined;
  /** Not started. */
  readonly consumers: readonly ConsumerRun[];
  /** Those of the options, and of other modules. */
  readonly observers: readonly Observer[];
}

/**
 * Holds the engine of one application. Lives in the global module, so it starts before every other module's
 * `onModuleInit` and stops after every other module is destroyed: a class that injects `RealtimeService` can publish from
 * the first hook to the last.
 */
@Injectable()
export class RealtimeRuntime implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  /** Whether clients connect to this application at all; a publisher has none. */
  attaches = false;
  /** Whether transports are attached now. */
  attached = false;
  /** @internal Serves plain streams; `undefined` where no clients connect. */
  feeds: SseTransport | undefined;
  /** @internal Works from the constructor on, so that what happens at boot can be recorded. */
  readonly audit: Audit;
  /** @internal `undefined` without the option, and while they do not run. */
  hooks: HooksRun | undefined;
  /** @internal Of the option; none before they are opened. */
  consumers: readonly ConsumerRun[] = [];
  private running: RealtimeEngine | undefined;
  private declared: Declared | undefined;
  private stopped = false;
  private shutdown: TimeLeft | undefined;
  private consumersClosed: Promise<unknown> | undefined;
  private readonly observers: Observer[] = [];
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
  ) {
    const { nodeId, limits } = config.settings;
    this.audit = new Audit({
      ...config.audit,
      nodeId,
      ipv6Prefix: limits.ipv6Prefix,
      clock: systemClock,
      entropy: systemEntropy,
      logger: this.logger,
    });
  }

  /** @internal The engine. @throws Error before `onModuleInit` of this module, e.g. in a constructor. */
  get engine(): RealtimeEngine {
    if (this.running !== undefined) return this.running;
    throw new Error(
      'RealtimeModule has not started yet. Use RealtimeService from onModuleInit() on, not in a constructor.',
    );
  }

  /** @internal The engine, `undefined` before it starts: an application can be closed after a failed start. */
  get engineIfAny(): RealtimeEngine | undefined {
    return this.running;
  }

  /** @internal Adds an observer: from a constructor, as later the engine has been made. */
  observe(observer: Observer): void {
    this.observers.push(observer);
  }

  /**
   * @internal What the application declares: of one that runs, what it runs with; of another, compiled as for a start, each time, as it
   * may still change. Nothing starts, and no broker is connected to. Rejects with a RealtimeBootError as a start does.
   */
  async inspect(): Promise<Declared> {
    return this.declared ?? (await this.declare());
  }

  private async declare(): Promise<Declared> {
    const problems = new BootProblems();
    this.checkSetUp(problems);
    if (this.config.globalEnhancers) this.checkGlobalEnhancers(problems);
    const broker = this.makeBroker(problems);

    const { logger, mapper } = this;
    const { globalEnhancers: globals } = this.config;
    const compiler = new HandlerCompiler(this.contexts, this.applicationConfig, mapper, problems, {
      globals,
      logger,
    });
    const scanner = new ChannelScanner(this.discovery, problems);
    const bounds = { broker, dedupeMs: this.config.settings.limits.dedupeMs };
    const channelExplorer = new ChannelExplorer(scanner, compiler, logger, problems);
    const { channels, requests } = await channelExplorer.explore(bounds);
    const gatewayExplorer = new GatewayExplorer(scanner, compiler, mapper, problems);
    const gateways = this.exploreGateways(gatewayExplorer, requests, problems);
    const { discovery, moduleRef, gate } = this;
    const { auth, settings } = this.config;
    const { anonymous } = settings;
    const authenticator = await createAuthenticator(auth, anonymous, {
      moduleRef,
      mapper,
      problems,
      logger,
      clock: systemClock,
      fetch: globalThis.fetch,
    });
    const onConnect = await compileConnect(
      this.config.connect,
      { compiler, discovery, moduleRef, gate },
      problems,
    );
    const hooks = this.openHooks(broker, problems);
    const consumers = openConsumers(
      this.config.consumers,
      {
        broker,
        application: () => this.engine.application,
        dedupeMs: this.config.settings.limits.dedupeMs,
        clock: systemClock,
        entropy: systemEntropy,
        logger,
      },
      problems,
    );
    problems.throwIfAny();
    return {
      broker,
      channels,
      hosts: scanner.channels(),
      requests: new Map([...requests, ...gateways.requests]),
      listeners: gateways.listeners,
      authenticator,
      hooks,
      consumers,
      observers: [...this.config.observers, ...this.observers],
      ...(onConnect === undefined ? {} : { onConnect }),
    };
  }

  async onModuleInit(): Promise<void> {
    this.declared = await this.declare();
    const { broker, authenticator, channels, requests, listeners, onConnect, observers, hooks, consumers } =
      this.declared;
    const { settings, auth } = this.config;
    const engine = new RealtimeEngine({
      broker,
      authenticator,
      channels,
      requests,
      ...(onConnect === undefined ? {} : { onConnect }),
      limitsForUser: this.config.limitsForUser,
      observers: [this.audit.observer, ...observers],
      tracer: this.config.tracing?.start({
        nodeId: settings.nodeId,
        clock: systemClock,
        entropy: systemEntropy,
        logger: this.logger,
      }),
      isExempt: this.config.isExempt,
      spam: this.config.spam,
      shedding: this.shedding,
      holds: this.config.hooks?.policy.channels.length ? this.config.hooks.policy : undefined,
      // A class of the application may recognise clients without a token, so it is always called.
      settings: auth.mode === 'custom' ? { ...settings, anonymous: true } : settings,
      application: this.config.randomTicketSecret ? undefined : fingerprintOf(settings.ticketSecret),
      clock: systemClock,
      entropy: systemEntropy,
      logger: this.logger,
    });
    for (const listener of listeners) engine.addConnectionListener(listener);
    // Also while they end: what waits is handed over then.
    engine.erasures.listen((seqs, channel) => hooks?.onErased(channel, seqs));
    // Before the start, so that a broker that fails to start is closed with the application.
    this.running = engine;
    await engine.start();
    this.hooks = hooks;
    this.consumers = consumers;
    reportBoot(this.config, broker, channels, this.attaches, this.logger);
  }

  /** Their providers are ready only now. */
  onApplicationBootstrap(): void {
    this.hooks?.start();
    for (const consumer of this.consumers) consumer.start();
  }

  /** @internal What is left of the one time that a shutdown has. It begins with the first question. */
  get timeLeft(): TimeLeft {
    return (this.shutdown ??= timeOfShutdown(this.config.drainDeadlineMs));
  }

  /** @internal Once the drain has ended, so that they are called for what it brings. Idempotent. */
  async closeHooks(time: TimeLeft): Promise<void> {
    const { hooks } = this;
    this.hooks = undefined;
    await hooks?.close(time);
  }

  /** @internal Before the clients leave, and what `to` needs is gone. Idempotent. */
  closeConsumers(): Promise<unknown> {
    // Not of the time of the shutdown, which begins when the application's own hooks have ended.
    const ms = Math.min(CONSUMERS_MS, Math.max(LEAST_MS, this.config.drainDeadlineMs));
    return (this.consumersClosed ??= Promise.all(this.consumers.map((consumer) => consumer.close(ms))));
  }

  async onApplicationShutdown(): Promise<void> {
    const engine = this.running;
    if (this.stopped) return;
    this.stopped = true;
    const { timeLeft } = this;
    // Nothing delays a shutdown that the application wants to be short.
    const bounds = { mostMs: Math.max(LEAST_MS, this.config.drainDeadlineMs), leastMs: LEAST_MS };
    await stayAlive(async () => {
      if (engine !== undefined)
        await this.stopEngine(engine, timeLeft.share({ ...bounds, keepMs: KEPT_FOR_AUDIT_MS }));
      // After the last act. Ends as soon as the sinks have what waits, so a short deadline of the clients is no reason to lose entries.
      await this.audit.close(timeLeft.share({ leastMs: LEAST_MS }));
    });
  }

  private async stopEngine(engine: RealtimeEngine, time: TimeLeft): Promise<void> {
    const { ms } = time;
    if (await time.wait(engine.stop(time))) return;
    this.logger.warn(
      `The broker did not close within ${Math.round(ms)} ms; the shutdown continues without it`,
    );
  }

  /** A publisher has no clients whom it could refuse anything. */
  private get shedding(): EngineOptions['shedding'] {
    const { shedding } = this.config;
    if (shedding === undefined || !this.attaches) return undefined;
    return { policy: shedding.policy, sampler: new OwnProcess(shedding.memoryLimit) };
  }

  private openHooks(broker: Broker, problems: BootProblems): HooksRun | undefined {
    const { hooks } = this.config;
    if (hooks === undefined) return undefined;
    return openHooks(hooks, {
      broker,
      moduleRef: this.moduleRef,
      problems,
      online: (users) => this.engine.usersOnline.find(users),
      isErased: (place) => this.engine.erasures.coversPlace(place),
      clock: systemClock,
      entropy: systemEntropy,
      logger: this.logger,
    });
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
    const server = httpServerOf(this.httpAdapterHost);
    this.attaches = !publisherOnly && server !== undefined;
    if (this.attaches) this.checkTls(server instanceof TlsServer, problems);
    if (this.attaches && auth.mode === 'undecided') {
      problems.add(
        'auth',
        'is missing, so it is open who may connect.',
        'Set auth: { jwt: { secret } }, a class, { anonymous: true }, or publisherOnly: true.',
      );
    }
  }

  private checkTls(endsTls: boolean, problems: BootProblems): void {
    const { requireTls, trustProxy = false } = this.config.transport;
    if (requireTls !== true || endsTls || compileTrust(trustProxy) !== false) return;
    problems.add(
      'requireTls',
      'is set, but this application ends no TLS and trusts no proxy that does, so every client would be refused.',
      'Set trustProxy to the proxies that end TLS, give httpsOptions to NestFactory.create(), or leave requireTls out.',
    );
  }

  /**
   * Global enhancers of request scope cannot run where there is no request, and Nest leaves them out in silence. For a
   * guard or pipe that would be a security hole, so it is an error; an interceptor is reported in the log.
   */
  private checkGlobalEnhancers(problems: BootProblems): void {
    const config = this.applicationConfig;
    const remedy = 'Make it a singleton; what it needs of a request is in the ExecutionContext.';
    for (const wrapper of [...config.getGlobalRequestGuards(), ...config.getGlobalRequestPipes()]) {
      const problem = 'is a global guard or pipe of request scope, which Nest would skip here.';
      problems.add(nameOf(wrapper), problem, remedy);
    }
    for (const wrapper of config.getGlobalRequestInterceptors()) {
      this.logger.warn(
        `The global interceptor ${nameOf(wrapper)} is request-scoped and does not run on channels. ${remedy}`,
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

/** The application's HTTP server; `undefined` in workers, application contexts and microservices. */
export function httpServerOf(host: HttpAdapterHost): Server | undefined {
  // Unlike its type, the adapter is absent in an application without HTTP.
  const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | null | undefined;
  const server = adapter?.getHttpServer() as Server | null | undefined;
  return typeof server?.on === 'function' ? server : undefined;
}

function nameOf({ metatype, name }: { readonly metatype: unknown; readonly name: unknown }): string {
  // The wrapper itself is named like "APP_GUARD (UUID: …)".
  return typeof metatype === 'function' ? metatype.name : String(name);
}
