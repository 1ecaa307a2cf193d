import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { trace, type ProxyTracerProvider } from '@opentelemetry/api';

// recipe: last spans
/** What the exporter has not sent yet goes out before the process ends. */
@Injectable()
export class LastSpans implements OnApplicationShutdown {
  async onApplicationShutdown(): Promise<void> {
    const provider = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate();
    await (provider as { forceFlush?(): Promise<void> }).forceFlush?.();
  }
}
// end
