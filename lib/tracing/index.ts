import {
  context,
  createContextKey,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  trace,
  type TracerProvider,
} from '@opentelemetry/api';
import type { RealtimeTracing } from '../core/ports/tracer.js';
import { VERSION } from '../core/ports/version.js';
import { OpenTelemetryTracer } from './open-telemetry-tracer.js';
import { shareOf } from './sampled-share.js';
import { settingsOf, type OpenTelemetryOptions } from './options.js';

export type { RealtimeTracing } from '../core/ports/tracer.js';
export type { ClientTraces, OpenTelemetryOptions } from './options.js';

const SCOPE = 'nestjs-realtime';

/**
 * Traces connections, commands, publishes and deliveries with OpenTelemetry. Handlers, authorizations and authenticators run inside of
 * these spans, so that what they do is part of them. Start the SDK before the application: where it has not registered a provider when
 * the application starts, that is logged, and nothing is traced or costs anything.
 *
 * @throws RangeError for an option that it does not know.
 * @example RealtimeModule.forRoot({ auth, tracing: openTelemetry() })
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): RealtimeTracing {
  const settings = settingsOf(options);
  const find = (): TracerProvider => options.tracerProvider ?? trace.getTracerProvider();
  return {
    inspect() {
      const provider = find();
      const hasProvider = makesSpans(provider);
      const sampled = hasProvider ? shareOf(provider.getTracer(SCOPE, VERSION)) : undefined;
      const share = sampled === undefined ? undefined : sampled * (settings.sampleRatio ?? 1);
      return { hasProvider, hasContexts: hasContexts(), share };
    },
    start(node) {
      const provider = find();
      if (!makesSpans(provider)) {
        node.logger.warn(
          'tracing is set, and no OpenTelemetry SDK was started before the application, so nothing is traced. Start it first, e.g. ' +
            'node --import ./instrumentation.mjs main.js',
        );
        return undefined;
      }
      if (!hasContexts())
        node.logger.warn(
          'tracing is set, and OpenTelemetry has no context manager, so spans of handlers and of what they call are not connected. ' +
            'Register one: the SDK for Node does it by itself',
        );
      return new OpenTelemetryTracer(provider.getTracer(SCOPE, VERSION), node, settings);
    },
  };
}

/** Whether an SDK stands behind the registry of OpenTelemetry. */
function makesSpans(provider: TracerProvider): boolean {
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined;
}

function hasContexts(): boolean {
  const key = createContextKey('probe');
  // Not whether it is the same context: that of Sentry hands on one of its own, which has what this one has.
  return context.with(ROOT_CONTEXT.setValue(key, true), () => context.active().getValue(key) === true);
}
