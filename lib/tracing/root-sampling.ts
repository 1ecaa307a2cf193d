import { context, ROOT_CONTEXT, trace, type Context, type Span, type SpanContext } from '@opentelemetry/api';
import type { Entropy } from '../core/ports/entropy.js';
import { isSampled } from './traceparent.js';

/**
 * What the work of a trace that is not sampled belongs to, so that spans of the application in it are not sampled either, and do not
 * begin traces of their own. One for all: an id for each would cost what `sampleRatio` saves. Samplers by ratio take no such id.
 */
const UNSAMPLED_IDS: SpanContext = {
  traceId: `ffffffff${'0'.repeat(24)}`,
  spanId: 'ffffffff00000000',
  traceFlags: 0,
};
/** The span of what is not sampled. It keeps nothing. */
export const UNSAMPLED: Span = trace.wrapSpanContext(UNSAMPLED_IDS);
const UNSAMPLED_CONTEXT: Context = trace.setSpan(ROOT_CONTEXT, UNSAMPLED);

/** Decides by `sampleRatio` which traces the tracer hears of, before anything is made for them. */
export class RootSampling {
  /** @param ratio `undefined`: the tracer hears of all, and its sampler decides. */
  constructor(
    private readonly ratio: number | undefined,
    private readonly entropy: Pick<Entropy, 'random'>,
  ) {}

  /** Whether it is decided here at all. */
  get hasRatio(): boolean {
    return this.ratio !== undefined;
  }

  /** Whether a trace begins. */
  begins(): boolean {
    return this.ratio === undefined || this.entropy.random() < this.ratio;
  }

  /** Whether a span may have this parent. */
  continues(parent: SpanContext): boolean {
    return this.ratio === undefined || isSampled(parent.traceFlags);
  }
}

/** Runs the work of what is not sampled. */
export function unsampled<T>(work: () => T): T {
  return context.with(UNSAMPLED_CONTEXT, work);
}

/** Whether this moment belongs to nothing, so that what begins in it does not either. */
export function hasNoContext(): boolean {
  return context.active() === ROOT_CONTEXT;
}
