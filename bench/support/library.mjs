// The library as an application imports it. Not by its name: the bench is a package of its own, which does not have it.
import { RealtimeModule, RealtimeService } from '../../dist/index.js';
import { nestApp } from './nest-app.mjs';
import { settings } from './server-side.mjs';

export * from '../../dist/index.js';

/**
 * An application with the library. What differs from its defaults is said here: clients of the bench all come from one
 * address, and those that only count bytes answer no ping, of which the first may come at any time within the interval.
 *
 * @returns {Promise<{ app: import('@nestjs/common').INestApplication, realtime: RealtimeService }>}
 */
export async function libraryApp({ providers, options = {} }) {
  if (settings.provider !== undefined) await provider(settings.provider);
  const app = await nestApp({
    imports: [
      ...(settings.metrics === true ? [await metrics()] : []),
      RealtimeModule.forRoot({
        auth: { anonymous: true },
        heartbeat: { interval: '7d' },
        proxyIdleTimeout: false,
        ...(settings.tracing === undefined ? {} : { tracing: await tracing(settings) }),
        ...options,
        limits: {
          maxConnectionsPerAddress: 100_000,
          connectsPerSecond: 100_000,
          nodeConnectsPerSecond: 0,
          maxVerificationsPerAddress: 1_000,
          ...options.limits,
        },
      }),
    ],
    providers,
  });
  return { app, realtime: app.get(RealtimeService) };
}

/** Asked for only where it is measured, as it needs prom-client. */
async function metrics() {
  const { RealtimeMetricsModule } = await import('../../dist/metrics/index.js');
  return RealtimeMetricsModule.forRoot();
}

/**
 * Asked for only where it is measured, as it needs OpenTelemetry.
 *
 * @param tracing share of the traces that the provider samples; 0: no provider.
 * @param sampleRatio of the library, which decides before the provider.
 */
async function tracing({ tracing: share, sampleRatio }) {
  if (share > 0) await provider(share);
  const { openTelemetry } = await import('../../dist/tracing/index.js');
  return openTelemetry(sampleRatio === undefined ? {} : { sampleRatio });
}

async function provider(ratio) {
  (await import('./span-provider.mjs')).registerProvider(ratio);
}
