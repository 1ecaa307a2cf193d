// recipe: OTLP
// instrumentation.mjs
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'chat' }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
}).register();
// end
