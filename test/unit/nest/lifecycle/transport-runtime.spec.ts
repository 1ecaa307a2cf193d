import { describe, expect, it } from '@jest/globals';
import type { HttpAdapterHost } from '@nestjs/core';
import { createServer } from 'node:http';
import type { Transport } from '../../../../lib/core/ports/transport.js';
import type { RealtimeRuntime } from '../../../../lib/nest/lifecycle/realtime-runtime.js';
import { TransportRuntime } from '../../../../lib/nest/lifecycle/transport-runtime.js';

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

describe('several transports', () => {
  it('are all attached at the start and all closed at the shutdown (G18)', async () => {
    const server = createServer();
    const host = { httpAdapter: { getHttpServer: () => server } } as unknown as HttpAdapterHost;
    const runtime = { attached: false, config: { drainDeadlineMs: 1 } } as unknown as RealtimeRuntime;
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
