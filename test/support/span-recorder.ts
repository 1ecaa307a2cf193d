import { context, trace, type SpanContext } from '@opentelemetry/api';
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
  type Sampler,
} from '@opentelemetry/sdk-trace-node';

/** Keeps the spans that ended, with the context manager of Node: one at a time, as OpenTelemetry's registry is of the process. */
export class SpanRecorder {
  private readonly exporter = new InMemorySpanExporter();
  readonly provider: NodeTracerProvider;

  constructor(sampler: Sampler = new AlwaysOnSampler()) {
    this.provider = new NodeTracerProvider({
      sampler,
      spanProcessors: [new SimpleSpanProcessor(this.exporter)],
    });
    this.provider.register();
  }

  get spans(): readonly ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  /** Names of the spans, in the order of their ends. */
  get names(): readonly string[] {
    return this.spans.map(({ name }) => name);
  }

  named(name: string): readonly ReadableSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  /** The only span of this name. */
  one(name: string): ReadableSpan {
    const [span, ...others] = this.named(name);
    if (span === undefined || others.length > 0)
      throw new Error(`Not one "${name}" among ${JSON.stringify(this.names)}`);
    return span;
  }

  /** Name of the span that is the parent of this one; the id where that is not here. */
  parentOf({ parentSpanContext: parent }: ReadableSpan): string | undefined {
    if (parent === undefined) return undefined;
    return this.spans.find((span) => span.spanContext().spanId === parent.spanId)?.name ?? parent.spanId;
  }

  /** Ids of the spans that this one links to. */
  linksOf({ links }: ReadableSpan): readonly string[] {
    return links.map((link) => link.context.spanId);
  }

  clear(): void {
    this.exporter.reset();
  }

  async stop(): Promise<void> {
    await this.provider.shutdown();
    trace.disable();
    context.disable();
  }
}

export function idOf(span: { spanContext(): SpanContext }): string {
  return span.spanContext().spanId;
}
