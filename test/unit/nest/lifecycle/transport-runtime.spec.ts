import { describe, expect, it } from '@jest/globals';
import type { HttpAdapterHost } from '@nestjs/core';
import { createServer } from 'node:http';
import { TimeLeft } from '../../../../lib/core/async/time-left.js';
import type { Transport } from '../../../../lib/core/ports/transport.js';
import type { RealtimeRuntime } from '../../../../lib/nest/lifecycle/realtime-runtime.js';
import { TransportRuntime } from '../../../../lib/nest/lifecycle/transport-runtime.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

class FakeTransport implements Transport {
  attached = false;

  constructor(readonly name: Transport['name']) {}

  attach(): void {
    this.attached = true;
  }

  close(): void {
    this.attached = false;
  }
}

function runtimeOf(steps: string[], clock: ManualClock = new ManualClock()): RealtimeRuntime {
  return {
    attached: false,
    config: { drainDeadlineMs: 1_000, transport: {} },
    timeLeft: new TimeLeft(clock, 6_000),
    audit: { hurry: () => void steps.push('audit') },
    engineIfAny: { beginDrain: () => void steps.push('begin'), drain: async () => void steps.push('drain') },
    closeConsumers: async () => void steps.push('consumers'),
    closeHooks: async (time: TimeLeft) => void steps.push(`hooks ${time.ms}`),
  } as unknown as RealtimeRuntime;
}

function lifecycleOf(runtime: RealtimeRuntime, transports: readonly Transport[]): TransportRuntime {
  const host = { httpAdapter: { getHttpServer: () => createServer() } } as unknown as HttpAdapterHost;
  const lifecycle = new TransportRuntime(runtime, host);
  (lifecycle as unknown as { readonly transports: Transport[] }).transports.push(...transports);
  lifecycle.onApplicationBootstrap();
  return lifecycle;
}

describe('several transports', () => {
  it('are all attached at the start and all closed at the shutdown (G18)', async () => {
    const server = createServer();
    const host = { httpAdapter: { getHttpServer: () => server } } as unknown as HttpAdapterHost;
    const runtime = runtimeOf([]);
    const lifecycle = new TransportRuntime(runtime, host);
    const transports = [
      new FakeTransport('websocket'),
      new FakeTransport('feed'),
      new FakeTransport('polling'),
    ];
    (lifecycle as unknown as { readonly transports: Transport[] }).transports.push(...transports);
    lifecycle.onApplicationBootstrap();
    expect(transports.map(({ attached }) => attached)).toEqual([true, true, true]);
    expect(runtime.attached).toBe(true);
    await lifecycle.beforeApplicationShutdown();
    expect(transports.map(({ attached }) => attached)).toEqual([false, false, false]);
    expect(runtime.attached).toBe(false);
  });
});

/** Its connections stay until they are cut. */
class StayingTransport extends FakeTransport {
  cuts = 0;
  private leave: () => void = () => undefined;

  constructor(private readonly steps: string[]) {
    super('websocket');
  }

  override close(): void {
    super.close();
    this.steps.push('closed');
  }

  whenLeft(): Promise<void> {
    return new Promise((resolve) => (this.leave = resolve));
  }

  cut(): number {
    this.cuts++;
    this.leave();
    return 3;
  }
}

describe('the shutdown of transports', () => {
  it('comes behind the drain, beside that of the hooks, and leaves the broker its time (G18)', async () => {
    const clock = new ManualClock();
    const steps: string[] = [];
    const transport = new StayingTransport(steps);
    const runtime = runtimeOf(steps, clock);
    const ending = lifecycleOf(runtime, [transport]).beforeApplicationShutdown();
    expect(transport.attached).toBe(true);
    await settle();
    expect(steps).toEqual(['drain', 'consumers', 'audit', 'hooks 3000', 'closed']);
    // As long as a client may take to answer its close frame: `drain.deadline`, at least a second.
    await clock.advanceAsync(999);
    expect(transport.cuts).toBe(0);
    await clock.advanceAsync(1);
    await ending;
    expect(transport.cuts).toBe(1);
  });

  it('waits for a drain that hangs no longer than a second beyond its deadline (G18)', async () => {
    const clock = new ManualClock();
    const steps: string[] = [];
    const runtime = runtimeOf(steps, clock);
    Object.assign(runtime, { engineIfAny: { drain: () => new Promise(() => undefined) } });
    const ending = lifecycleOf(runtime, [new FakeTransport('websocket')]).beforeApplicationShutdown();
    await clock.advanceAsync(1_999);
    expect(steps).toEqual(['consumers']);
    await clock.advanceAsync(1);
    await ending;
    expect(steps).toEqual(['consumers', 'audit', 'hooks 1000']);
  });

  it('waits for what consumers have under way before the clients are cut, and asks them to end before anything else does (G34, G18)', async () => {
    const steps: string[] = [];
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const runtime = runtimeOf(steps);
    const closing = { closeConsumers: () => (steps.push('consumers'), ended) };
    const lifecycle = lifecycleOf(Object.assign(runtime, closing), []);
    lifecycle.onModuleDestroy();
    expect(steps).toEqual(['begin', 'consumers']);
    const ending = lifecycle.beforeApplicationShutdown();
    await settle();
    expect(steps).toEqual(['begin', 'consumers', 'drain', 'consumers']);
    end();
    await ending;
    expect(steps.slice(4)).toEqual(['audit', 'hooks 3000']);
  });
});
