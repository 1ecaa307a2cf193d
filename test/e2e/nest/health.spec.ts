import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { NestFactory } from '@nestjs/core';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
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
  @Get('strict')
  @HealthCheck()
  strict() {
    return this.health.check([() => this.realtime.ready('realtime', { downFrom: 'low' })]);
  }
}

/** The overall status, and what the indicator says, as this Terminus can: 11 has no status `degraded`. */
const DEGRADED =
  'degraded' in new HealthIndicatorService().check('any')
    ? (['degraded', { status: 'degraded' }] as const)
    : (['ok', { status: 'up', degraded: true }] as const);

/** A broker whose way can be cut. */
function cuttable(store = new MemoryStore()) {
  const broker = memoryBroker({ store });
  const start = broker.start.bind(broker);
  const probe = broker.probe.bind(broker);
  let listener: BrokerListener | undefined;
  let cut: RealtimeError | undefined;
  return Object.assign(broker, {
    start: (given: BrokerListener, nodeId?: string) => start((listener = given), nodeId),
    probe: (timeoutMs: number) => (cut === undefined ? probe(timeoutMs) : Promise.reject(cut)),
    cut: (why: string, seen: boolean, code: 'timeout' | 'unavailable' = 'timeout') => {
      cut = new RealtimeError(code, why);
      if (seen) listener?.onState('down', why);
    },
    refuse: (why: string | undefined) => listener?.onRefusal?.(why),
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

  it('a node that is alone is degraded while the broker refuses its probe, and up when that is over', async () => {
    const { broker, get } = await start();
    broker.cut('OOM command not allowed', false, 'unavailable');
    await expect(get('ready')).resolves.toMatchObject([200, DEGRADED[0], DEGRADED[1]]);
    broker.mend();
    await expect(get('ready')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
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

  it('the node is degraded while the broker refuses what is written, even if a probe comes back, and says why', async () => {
    const { broker, get } = await start();
    const why = 'the broker refuses what is written to it: OOM command not allowed';
    const detail = { roundTripMs: expect.any(Number), sessions: 0 };
    broker.refuse('OOM command not allowed');
    await expect(get('ready')).resolves.toEqual([
      200,
      DEGRADED[0],
      { ...DEGRADED[1], reason: why, ...detail },
    ]);
    broker.prove(1);
    await until('both to be said', async () =>
      JSON.stringify(await get('ready')).includes('revoke; the broker'),
    );
    broker.cut('a cut', true);
    await expect(get('ready')).resolves.toMatchObject([
      200,
      DEGRADED[0],
      { reason: 'the broker is unreachable: OOM command not allowed' },
    ]);
    broker.mend();
    broker.prove(60_000);
    broker.refuse(undefined);
    await expect(get('ready')).resolves.toEqual([200, 'ok', { status: 'up', ...detail }]);
  });

  it('the node is degraded while it sheds load, and down from the step on that is asked for (G33)', async () => {
    const { get, server } = await start();
    const { overload } = server.app.get(RealtimeRuntime).engine['parts'];
    overload.change(2);
    const reason = 'this node is overloaded, and sheds load up to "history"';
    const detail = { reason, shedding: 'history', roundTripMs: expect.any(Number), sessions: 0 };
    await expect(get('ready')).resolves.toEqual([200, DEGRADED[0], { ...DEGRADED[1], ...detail }]);
    await expect(get('strict')).resolves.toMatchObject([200, DEGRADED[0], DEGRADED[1]]);
    await expect(get('live')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
    overload.change(3);
    await expect(get('strict')).resolves.toEqual([
      503,
      'error',
      { ...detail, status: 'down', reason: reason.replace('history', 'low'), shedding: 'low' },
    ]);
    overload.change(0);
    await expect(get('strict')).resolves.toMatchObject([200, 'ok', { status: 'up' }]);
  });

  it('the node is down while it drains', async () => {
    const { get, server } = await start();
    server.app.get(RealtimeRuntime).engine.beginDrain();
    for (const what of ['live', 'ready']) {
      await expect(get(what)).resolves.toEqual([503, 'error', { status: 'down', reason: 'draining' }]);
    }
  });
});

describe('health of one node of several (G20)', () => {
  const apps: TestApp[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  async function start(count: number) {
    const store = new MemoryStore();
    const nodes = [];
    for (let node = 1; node <= count; node++) {
      const broker = cuttable(store);
      const app = await startApp(PLATFORMS[0][1], {
        imports: [RealtimeHealthModule],
        realtime: { broker, nodeId: `node-${node}` },
      });
      apps.push(app);
      const ready = async (graceMs?: number) => {
        const options = { timeoutMs: patience(500), ...(graceMs === undefined ? {} : { graceMs }) };
        const { realtime } = await app.app.get(RealtimeHealthIndicator).ready('realtime', options);
        return realtime;
      };
      nodes.push({ broker, ready });
    }
    return nodes as unknown as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
  }

  it('is down where events return to another one: the fault is its own', async () => {
    const [left, right] = await start(2);
    left.broker.cut('no echo', false);
    await expect(left.ready()).resolves.toEqual({
      status: 'down',
      reason: 'events do not return to this node, of other nodes they do: no echo',
    });
    await expect(right.ready()).resolves.toMatchObject({ status: 'up' });
    left.broker.mend();
    await expect(left.ready()).resolves.toMatchObject({ status: 'up' });
  });

  it('is degraded where events return to no node: all of them would be taken out at once', async () => {
    const [left, right] = await start(2);
    for (const { broker } of [left, right]) broker.cut('OOM command not allowed', false, 'unavailable');
    const reason =
      'events do not return to this node, nor to the other nodes that were asked: OOM command not allowed';
    for (const { ready } of [left, right])
      await expect(ready()).resolves.toEqual({ ...DEGRADED[1], reason, awayMs: expect.any(Number) });
    await expect(left.ready(-1)).resolves.toMatchObject({ status: 'down', reason });
  });

  it('is degraded where the broker refuses, although no other node answers', async () => {
    const [left, right] = await start(2);
    left.broker.cut('OOM command not allowed', false, 'unavailable');
    right.broker.bus.send = () => Promise.resolve();
    const reason = expect.stringMatching(
      /^events do not return.* the broker refuses.*: OOM command not allowed$/,
    );
    await expect(left.ready()).resolves.toEqual({ ...DEGRADED[1], reason, awayMs: expect.any(Number) });
    await expect(left.ready(-1)).resolves.toMatchObject({ status: 'down' });
  });

  it('is down where one of two others receives events', async () => {
    const [left, right] = await start(3);
    for (const { broker } of [left, right]) broker.cut('no echo', false);
    await expect(left.ready()).resolves.toMatchObject({
      status: 'down',
      reason: expect.stringContaining('of other nodes they do'),
    });
  });

  it('is down where no other node answers, as nothing reaches it', async () => {
    const [left, right] = await start(2);
    left.broker.cut('no echo', false);
    right.broker.bus.send = () => Promise.resolve();
    await expect(left.ready()).resolves.toEqual({
      status: 'down',
      reason: 'events do not return to this node, no other node answers: no echo',
    });
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
