import { ConfigurableModuleBuilder, Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { missingAdapterProvider } from './adapter/missing-adapter.js';
import { BootProblems, RealtimeBootError } from './errors/realtime-boot-error.js';
import { ConnectGate } from './lifecycle/connect-gate.js';
import { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
import { TransportRuntime } from './lifecycle/transport-runtime.js';
import { REALTIME_CONFIG, resolveModuleOptions } from './options/resolve-options.js';
import type { RealtimeModuleOptions } from './realtime-options.js';
import { RealtimeService } from './realtime.service.js';

/** Injection token of the options as the application gave them. */
const REALTIME_OPTIONS = Symbol('REALTIME_OPTIONS');
/** Injection token of the one `RealtimeService` of an application. */
const GLOBAL_SERVICE = Symbol('GLOBAL_SERVICE');

const builder = new ConfigurableModuleBuilder<RealtimeModuleOptions>({
  optionsInjectionToken: REALTIME_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createRealtimeOptions')
  .setExtras({}, (definition) => ({ ...definition, global: true }))
  .build();

/**
 * The global half: engine, broker and `RealtimeService`. Nest starts it before everything else and stops it after
 * everything else, so the application can publish in every hook.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: REALTIME_CONFIG, useFactory: resolveModuleOptions, inject: [REALTIME_OPTIONS] },
    missingAdapterProvider,
    ConnectGate,
    RealtimeRuntime,
    RealtimeService,
    { provide: GLOBAL_SERVICE, useExisting: RealtimeService },
  ],
  exports: [RealtimeRuntime, RealtimeService, GLOBAL_SERVICE],
})
class RealtimeCoreModule extends builder.ConfigurableModuleClass {}

/**
 * Realtime channels for a Nest application: import it once, in the root module. In an application without an HTTP
 * server (worker, application context, microservice) it only publishes and administers.
 *
 * @example
 * @Module({
 *   imports: [RealtimeModule.forRoot({ auth: { jwt: { secret: process.env.JWT_SECRET } } })],
 *   providers: [RoomsChannel],
 * })
 * export class AppModule {}
 * @publicApi
 */
@Module({
  providers: [
    {
      provide: RealtimeService,
      inject: [{ token: GLOBAL_SERVICE, optional: true }],
      useFactory: globalService,
    },
  ],
  exports: [RealtimeService],
})
export class RealtimeModule {
  /**
   * Starts the library with these options. Call it once, in the root module; the module is global.
   *
   * @throws RealtimeBootError, when the application starts, with everything that is wrong with the options.
   */
  static forRoot(options: RealtimeModuleOptions = {}): DynamicModule {
    return withTransport(RealtimeCoreModule.forRoot(options));
  }

  /**
   * Takes the options from a provider: `useFactory` with `inject`, or a `RealtimeOptionsFactory` by `useClass` or
   * `useExisting`.
   *
   * @throws RealtimeBootError, at once, when none of them is given.
   * @example
   * RealtimeModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ auth: { jwt: { secret: config.getOrThrow('JWT_SECRET') } } }),
   * });
   */
  static forRootAsync(options: typeof builder.ASYNC_OPTIONS_TYPE): DynamicModule {
    const { useFactory, useClass, useExisting } = options;
    const problems = new BootProblems();
    if ((useFactory ?? useClass ?? useExisting) === undefined) {
      problems.add(
        'forRootAsync',
        'has nothing that makes the options.',
        'Give useFactory, or a class in useClass or useExisting.',
      );
    }
    problems.throwIfAny();
    return withTransport(RealtimeCoreModule.forRootAsync(options));
  }
}

/** Not in the decorator: a second import of the bare class would attach a second transport to the server. */
function withTransport(core: DynamicModule): DynamicModule {
  return { module: RealtimeModule, imports: [core], providers: [TransportRuntime] };
}

/**
 * The class alone, without `forRoot()`, has no options. Where another module has called `forRoot()`, importing the class
 * is harmless.
 */
function globalService(service?: RealtimeService): RealtimeService {
  if (service !== undefined) return service;
  throw new RealtimeBootError([
    {
      path: 'RealtimeModule',
      problem: 'is imported without options.',
      remedy: 'Write imports: [RealtimeModule.forRoot({ auth: … })] in the root module.',
    },
  ]);
}
