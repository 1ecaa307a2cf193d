import { afterEach, describe, expect, it } from '@jest/globals';
import { context, createContextKey, trace, type Context, type TracerProvider } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  NodeTracerProvider,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-node';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { shareOf } from '../../../lib/tracing/sampled-share.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { RecordingLogger } from '../../support/engine/recording-logger.js';

/** Hands on contexts of its own, with what the given one has and more, as that of Sentry does. */
class AddingContexts extends AsyncLocalStorageContextManager {
  private readonly scope = createContextKey('scope');

  override with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    given: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return super.with(given.setValue(this.scope, true), fn, thisArg, ...args);
  }
}

/** Decides in a way of its own. */
class OwnSampler implements Sampler {
  shouldSample() {
    return { decision: SamplingDecision.NOT_RECORD };
  }
}

afterEach(() => {
  trace.disable();
  context.disable();
});

const inspect = (tracerProvider?: TracerProvider) =>
  openTelemetry(tracerProvider === undefined ? {} : { tracerProvider }).inspect?.();
const sampling = (sampler?: Sampler) =>
  inspect(new NodeTracerProvider(sampler === undefined ? {} : { sampler }))?.share;

describe('what a tracing says of itself', () => {
  it('finds neither a provider nor contexts where no SDK was started, and then both', () => {
    expect(inspect()).toEqual({ hasProvider: false, hasContexts: false, share: undefined });
    new NodeTracerProvider({ sampler: new TraceIdRatioBasedSampler(0.25) }).register();
    expect(inspect()).toEqual({ hasProvider: true, hasContexts: true, share: 0.25 });
  });

  it('finds the provider that it is given, and registers nothing', () => {
    expect(inspect(new NodeTracerProvider())).toMatchObject({ hasProvider: true, hasContexts: false });
    expect(inspect()).toMatchObject({ hasProvider: false });
  });

  it.each<[string, Sampler | undefined, number | undefined]>([
    ['the default of the SDK', undefined, 1],
    ['AlwaysOn', new AlwaysOnSampler(), 1],
    ['AlwaysOff', new AlwaysOffSampler(), 0],
    ['a share', new TraceIdRatioBasedSampler(0.000_000_1), 0.000_000_1],
    [
      'a share for what has no parent',
      new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.01) }),
      0.01,
    ],
    [
      'none for what has no parent, and all others',
      new ParentBasedSampler({ root: new AlwaysOffSampler(), remoteParentNotSampled: new AlwaysOnSampler() }),
      0,
    ],
    ['one of the application', new OwnSampler(), undefined],
  ])('knows the share of %s', (_, sampler, share) => {
    expect(sampling(sampler)).toBe(share);
  });

  it('knows no share of a tracer of another kind', () => {
    for (const tracer of [undefined, null, {}, { _sampler: null }, { _sampler: 'AlwaysOnSampler' }])
      expect(shareOf(tracer)).toBeUndefined();
  });

  it('takes contexts for connected where the manager adds to them', () => {
    context.setGlobalContextManager(new AddingContexts().enable());
    const logger = new RecordingLogger();
    const tracing = openTelemetry({ tracerProvider: new NodeTracerProvider() });
    expect(tracing.inspect?.().hasContexts).toBe(true);
    expect(
      tracing.start({ nodeId: 'n1', clock: new ManualClock(), entropy: new SeededEntropy(), logger }),
    ).toBeDefined();
    expect(logger.records).toEqual([]);
  });

  it('warns at the start where there is no context manager', () => {
    const logger = new RecordingLogger();
    openTelemetry({ tracerProvider: new NodeTracerProvider() }).start({
      nodeId: 'n1',
      clock: new ManualClock(),
      entropy: new SeededEntropy(),
      logger,
    });
    expect(logger.records.map(({ message }) => message)).toEqual([
      expect.stringContaining('has no context manager'),
    ]);
  });
});
