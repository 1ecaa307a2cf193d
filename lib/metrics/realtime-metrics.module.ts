import {
  Inject,
  Injectable,
  Module,
  Optional,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { systemClock } from '../core/ports/clock.js';
import { optionsRequired, requireRuntime } from '../nest/errors/realtime-boot-error.js';
import { RealtimeRuntime } from '../nest/index.js';
import { NodeMetrics } from './node-metrics.js';
import { readMetricsOptions, type MetricsConfig, type RealtimeMetricsOptions } from './options.js';

/** Injection token of the options with their defaults. */
const METRICS_CONFIG = Symbol('METRICS_CONFIG');

/** Holds the metrics of one application, for as long as it runs. */
@Injectable()
class MetricsRuntime implements OnModuleInit, OnApplicationShutdown {
  private readonly metrics: NodeMetrics;

  constructor(@Inject(METRICS_CONFIG) config: MetricsConfig, @Optional() runtime: RealtimeRuntime) {
    requireRuntime(runtime, 'RealtimeMetricsModule');
    const node = {
      stats: () => {
        const stats = runtime.engineIfAny?.stats();
        if (stats === undefined) return undefined;
        return {
          ...stats,
          targets: runtime.hooks?.status() ?? [],
          sinks: runtime.audit.status,
          consumers: runtime.consumers.map((consumer) => consumer.status()),
        };
      },
      probe: (timeoutMs: number) => runtime.engine.probe(timeoutMs),
    };
    this.metrics = new NodeMetrics(config, node, systemClock);
    // All providers are made before the engine starts.
    runtime.observe(this.metrics.observer);
  }

  onModuleInit(): void {
    this.metrics.start();
  }

  onApplicationShutdown(): void {
    this.metrics.stop();
  }
}

/**
 * Metrics for Prometheus, in a registry of `prom-client` 15: all of them are in docs/metrics.md. It adds no route: serve the registry
 * as you serve it today, or with the controller below. Needs `RealtimeModule.forRoot()` in the application.
 *
 * @example
 * @Module({
 *   imports: [RealtimeModule.forRoot({ auth: { jwt: { secret } } }), RealtimeMetricsModule.forRoot()],
 *   controllers: [MetricsController],
 * })
 * export class AppModule {}
 *
 * @Controller('metrics')
 * @UseGuards(ScraperGuard)
 * class MetricsController {
 *   @Get()
 *   @Header('content-type', register.contentType)
 *   metrics() {
 *     return register.metrics();
 *   }
 * }
 * @publicApi
 */
@Module({
  providers: [optionsRequired(METRICS_CONFIG, 'RealtimeMetricsModule', 'RealtimeMetricsModule.forRoot()')],
})
export class RealtimeMetricsModule {
  /**
   * Adds the metrics of this application to a registry.
   *
   * @throws RealtimeBootError, at once, with everything that is wrong with the options; and when the application starts, where the
   * registry has metrics of these names already, or the application has no `RealtimeModule.forRoot()`.
   */
  static forRoot(options: RealtimeMetricsOptions = {}): DynamicModule {
    return {
      module: RealtimeMetricsModule,
      providers: [{ provide: METRICS_CONFIG, useValue: readMetricsOptions(options) }, MetricsRuntime],
    };
  }
}
