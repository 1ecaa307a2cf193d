import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { NestFactory } from '@nestjs/core';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { BrokerListener } from '../../../lib/core/ports/broker.js';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../../lib/health/index.js';
import { RealtimeModule } from '../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { PLATFORMS, RecordingNestLogger, startApp, type TestApp } from './support/nest-app.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly realtime: RealtimeHealthIndicator,
  ) {}
  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([() => this.realtime.live('realtime')]);
  }
  @Get('ready')
  @HealthCheck()
  ready() {
    return this.health.check([() => this.realtime.ready('realtime', { timeoutMs: patience(500) })]);
  }
  @Get('impatient')
  @HealthCheck()
  impatient() {
    return this.health.check([() => this.realtime.ready('realtime', { graceMs: -1 })]);
  }
}

/** The overall status, and what the indicator says, as this Terminus can: 11 has no status `degraded`. */
const DEGRADED =
  'degraded' in new HealthIndicatorService().check('any')
    ? (['degraded', { status: 'degraded' }] as const)
    : (['ok', { status: 'up', degraded: true }] as const);

/** A broker whose way can be cut. */
function cuttable() {
  const broker = memoryBroker();
  const start = broker.start.bind(broker);
  const probe = broker.probe.bind(broker);
  let listener: BrokerListener | undefined;
  let cut: string | undefined;
  return Object.assign(broker, {
    start: (given: BrokerListener) => start((listener = given)),
    probe: (timeoutMs: number) =>
      cut === undefined ? probe(timeoutMs) : Promise.reject(new RealtimeError('unavailable', cut)),
    cut: (why: string, seen: boolean) => {
      cut = why;
      if (seen) listener?.onState('down', why);
    },
    prove: (forMs: number) => listener?.onControlCurrent(forMs),
    mend: () => {
      cut = undefined;
      listener?.onState('up');
    },
  });
}

describe.each(PLATFORMS)('health for Terminus, on %s (G20)', (_name, platform) => {
  let server: TestApp | undefined;

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  async function start() {
    const broker = cuttable();
    server = await startApp(platform, {
      imports: [TerminusModule, RealtimeHealthModule],
      controllers: [HealthController],
      realtime: { broker },
    });
    const { port } = server;
    const get = async (what: string) => {
      const response = await fetch(`http://127.0.0.1:${port}/health/${what}`);
      const body = (await response.json()) as { status: string; details: { realtime: unknown } };
      return [response.status, body.status, body.details.realtime];
    };
    return { broker, get, server };
  }

  it('the node is up when a probe comes back', async () => {
    const { get, server } = await start();
    await server.connect('alice');
    await expect(get('live')).resolves.toEqual([200, 'ok', { status: 'up', sessions: 1 }]);
    await expect(get('ready')).resolves.toEqual([
      200,
      'ok',
      { status: 'up', roundTripMs: expect.any(Number), sessions: 1 },
    ]);
  });

  it('the node is degraded when the broker is unreachable for every node, and down after too long', async () => {
    const { broker, get } = await start();
    broker.cut('connection refused', true);
    await expect(get('ready')).resolves.toEqual([
      200,
      DEGRADED[0],
      { ...DEGRADED[1], reason: 'the broker is unreachable: connection refused', awayMs: expect.any(Number) },
    ]);
    await expect(get('live')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
    await expect(get('impatient')).resolves.toMatchObject([503, 'error', { status: 'down' }]);
    broker.mend();
    await expect(get('ready')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
  });

  it('the node is down when the broker is reachable but events do not reach this node', async () => {
    const { broker, get } = await start();
    broker.cut('no echo', false);
    await expect(get('ready')).resolves.toEqual([
      503,
      'error',
      { status: 'down', reason: 'events do not return to this node: no echo' },
    ]);
  });

  it('the node is degraded while events are withheld, even if a probe comes back (G11)', async () => {
    const { broker, get } = await start();
    broker.prove(1);
    await until('the proof to be over', async () => JSON.stringify(await get('ready')).includes('reason'));
    await expect(get('ready')).resolves.toEqual([
      200,
      DEGRADED[0],
      {
        ...DEGRADED[1],
        reason: expect.stringContaining('this node cannot prove that it knows every revoke'),
        roundTripMs: expect.any(Number),
        sessions: 0,
      },
    ]);
    broker.prove(60_000);
    await expect(get('ready')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
  });

  it('the node is down while it drains', async () => {
    const { get, server } = await start();
    server.app.get(RealtimeRuntime).engine.beginDrain();
    for (const what of ['live', 'ready']) {
      await expect(get(what)).resolves.toEqual([503, 'error', { status: 'down', reason: 'draining' }]);
    }
  });
});

describe('health of a publisher (G20)', () => {
  it('a publisher is up once it has started', async () => {
    @Module({ imports: [RealtimeModule.forRoot(), RealtimeHealthModule] })
    class Worker {}
    const context = await NestFactory.createApplicationContext(Worker, { logger: new RecordingNestLogger() });
    const health = context.get(RealtimeHealthIndicator);
    expect(health.live('realtime')).toEqual({ realtime: { status: 'up', sessions: 0 } });
    await expect(health.ready('realtime')).resolves.toMatchObject({ realtime: { status: 'up' } });
    await context.close();
    expect(health.live('realtime')).toEqual({ realtime: { status: 'down', reason: 'draining' } });
  });
});
