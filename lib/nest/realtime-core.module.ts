import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { missingAdapterProvider } from './adapter/missing-adapter.js';
import { ConnectGate } from './lifecycle/connect-gate.js';
import { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
import { REALTIME_CONFIG, resolveOptions } from './options/resolve-options.js';
import type { RealtimeModuleOptions } from './realtime-options.js';
import { RealtimeService } from './realtime.service.js';

/** Injection token of the options as the application gave them. */
const REALTIME_OPTIONS = Symbol('REALTIME_OPTIONS');

const builder = new ConfigurableModuleBuilder<RealtimeModuleOptions>({
  optionsInjectionToken: REALTIME_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createRealtimeOptions')
  .setExtras({}, (definition) => ({ ...definition, global: true }))
  .build();

/** The one `RealtimeService` of an application, from wherever it is asked for. */
export const GLOBAL_SERVICE = Symbol('GLOBAL_SERVICE');

/** What `forRoot` and `forRootAsync` take. */
export type RealtimeAsyncOptions = typeof builder.ASYNC_OPTIONS_TYPE;

/**
 * The global half: engine, broker and `RealtimeService`. Nest starts it before and stops it after everything else, so
 * there is no hook in which the application cannot publish.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: REALTIME_CONFIG, useFactory: resolveOptions, inject: [REALTIME_OPTIONS] },
    missingAdapterProvider,
    ConnectGate,
    RealtimeRuntime,
    RealtimeService,
    { provide: GLOBAL_SERVICE, useExisting: RealtimeService },
  ],
  exports: [RealtimeRuntime, RealtimeService, GLOBAL_SERVICE],
})
export class RealtimeCoreModule extends builder.ConfigurableModuleClass {}
