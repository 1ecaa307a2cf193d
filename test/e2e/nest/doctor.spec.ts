import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Logger, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { CHECKS } from '../../../lib/doctor/checks/index.js';
import { examine } from '../../../lib/doctor/diagnose.js';
import { diagnose, type DoctorFinding, type DoctorReport } from '../../../lib/doctor/index.js';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../../lib/health/index.js';
import { RealtimeModule } from '../../../lib/index.js';
import { RealtimeMetricsModule } from '../../../lib/metrics/index.js';
import { RealtimeRuntime } from '../../../lib/nest/index.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { carelessModule, WEAKNESS, type Variant } from './doctor/careless.js';

const keyOf = ({ id, outcome }: DoctorFinding): string => `${id}/${outcome}`;
const isBad = ({ level }: DoctorFinding): boolean => level !== 'ok';
const bad = ({ findings }: DoctorReport): DoctorFinding[] => findings.filter(isBad);
const of = ({ findings }: DoctorReport, id: string): DoctorFinding[] =>
  findings.filter((finding) => finding.id === id);

// What Nest says while it makes the applications.
beforeAll(() => Logger.overrideLogger(false));
// Spans are connected in this file, as the SDK for Node sees to it.
beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());

const fixed = (...fixes: string[]) => new Set(fixes);

describe('the doctor on a careless application', () => {
  it('finds something in every line of its table but "boot": the application starts', async () => {
    const weak = await diagnose(carelessModule());
    const away = await diagnose(carelessModule(fixed(), { away: true }));
    const red = new Set([...bad(weak), ...bad(away)].map(({ id }) => id));
    expect(CHECKS.map(({ id }) => id).filter((id) => !red.has(id))).toEqual(['boot']);
    expect([weak.passed, away.passed]).toEqual([false, false]);
  });

  it('says a remedy and a place in the documents for each of them', async () => {
    for (const { remedy = '', see, finding } of bad(await diagnose(carelessModule()))) {
      expect(remedy).not.toBe('');
      expect(see).toMatch(/^docs\/[a-z-]+\.md#/);
      expect(finding + remedy).not.toMatch(/\{\w+\}/);
    }
  });

  const variants: readonly Variant[] = [{}, { away: true }, { shared: true }];
  it.each(variants)(
    'has a remedy for each line of %j, which turns this line green and no other red',
    async (variant) => {
      const before = await diagnose(carelessModule(fixed(), variant));
      const keys = [...new Set(bad(before).map(keyOf))];
      expect(keys.length).toBeGreaterThanOrEqual(25);
      for (const key of keys) {
        const after = await diagnose(carelessModule(fixed(key), variant));
        expect({
          key,
          left: bad(after)
            .map(keyOf)
            .filter((one) => one === key),
        }).toEqual({ key, left: [] });
        const added = bad(after)
          .map(keyOf)
          .filter((one) => !keys.includes(one));
        // What is no longer hidden by a worse finding, e.g. a channel that is public for members only.
        expect({ key, added: added.filter((one) => !SHOWN_BY[key]?.includes(one)) }).toEqual({
          key,
          added: [],
        });
      }
    },
  );

  it('finds nothing to warn of once all remedies are applied', async () => {
    const keys = bad(await diagnose(carelessModule())).map(keyOf);
    const cured = await diagnose(carelessModule(fixed(...keys)), { strict: true });
    expect(cured.findings.filter(({ level }) => level === 'warning' || level === 'error')).toEqual([]);
    expect(cured.passed).toBe(true);
  });
});

/** What a remedy brings to light. */
const SHOWN_BY: Readonly<Record<string, readonly string[]>> = {
  'access.connect/beside': ['channels.publish/blind', 'channels.read/members', 'channels.requests/public'],
  'broker.durability/process': ['access.tickets/random'],
  'operations.rotation/hasty': ['operations.rotation/never'],
};

describe('the doctor', () => {
  it('reports what keeps the module from starting, each with its remedy, and nothing else', async () => {
    @Module({ imports: [RealtimeModule.forRoot({ path: 'no slash', auth: { jwt: { secret: '' } } })] })
    class Broken {}
    const { findings, passed } = await diagnose(Broken);
    expect(findings.map(({ id, outcome, level }) => ({ id, outcome, level }))).toEqual([
      { id: 'boot', outcome: 'refused', level: 'error' },
      { id: 'boot', outcome: 'refused', level: 'error' },
    ]);
    expect(findings.map(({ finding }) => finding).join()).toContain('path: ');
    expect(findings.every(({ remedy }) => remedy !== undefined && remedy !== '')).toBe(true);
    expect(passed).toBe(false);
  });

  it('reports a provider that cannot be made', async () => {
    const provide = {
      provide: 'DATABASE',
      useFactory: () => Promise.reject(new Error('no such host\nat x')),
    };
    @Module({ providers: [provide] })
    class Broken {}
    const { findings } = await diagnose(Broken);
    expect(findings.map(({ outcome, finding }) => [outcome, finding])).toEqual([
      ['failed', 'The application does not start: no such host'],
    ]);
  });

  it('reports channels that the module refuses, which it compiles as a start does', async () => {
    const module = carelessModule();
    const { findings } = await diagnose({
      ...module,
      providers: [
        ...(module.providers ?? []),
        ...(module.providers ?? []).map((type) => class extends (type as new () => object) {}),
      ],
    });
    expect(findings[0]).toMatchObject({ id: 'boot', outcome: 'refused' });
  });

  it('reports an application without the module', async () => {
    @Module({})
    class Plain {}
    expect((await diagnose(Plain)).findings).toMatchObject([
      { id: 'boot', outcome: 'absent', level: 'error' },
    ]);
  });

  it('runs no hook of start, and does not connect to the broker to look at it', async () => {
    const events: string[] = [];
    @Injectable()
    class Consumer implements OnModuleInit {
      onModuleInit(): void {
        events.push('started');
      }
    }
    const module = carelessModule();
    await diagnose({ ...module, providers: [...(module.providers ?? []), Consumer] });
    expect(events).toEqual([]);
  });

  it('leaves an application that it is given open, whether it runs or not', async () => {
    const app = (
      await Test.createTestingModule({ imports: [carelessModule()] }).compile()
    ).createNestApplication();
    const before = await diagnose(app);
    await app.init();
    try {
      const after = await diagnose(app);
      expect(app.get(RealtimeRuntime, { strict: false }).engine.status).toMatchObject({
        started: true,
        draining: false,
      });
      expect(bad(after).map(keyOf)).toEqual(bad(before).map(keyOf));
    } finally {
      await app.close();
    }
  });

  it('takes a function that makes the application, and closes what it made', async () => {
    let closed = 0;
    @Injectable()
    class Pool {
      onModuleDestroy(): void {
        closed += 1;
      }
    }
    const report = await diagnose(async () => {
      const module = carelessModule();
      const built = Test.createTestingModule({ imports: [module], providers: [Pool] });
      return (await built.compile()).createNestApplication();
    });
    expect(of(report, 'boot')).toMatchObject([{ outcome: 'boots' }]);
    expect(closed).toBe(1);
  });

  it('asks a publisher, or an application without a server, nothing about clients', async () => {
    const report = await diagnose(carelessModule(fixed(), { more: { publisherOnly: true } }));
    const ids = new Set(report.findings.map(({ id }) => id));
    expect([...ids].filter((id) => /^(?:transport|channels|limits)\./.test(id))).toEqual([]);
    expect(ids.has('broker.durability')).toBe(true);
    expect(of(report, 'operations.drain').map(({ outcome }) => outcome)).toEqual(['killed']);
  });

  it('gives up on a broker that does not answer in its time', async () => {
    const clock = new ManualClock();
    const { asked, broker } = unanswering();
    const looking = examine(carelessModule(fixed(), { more: { broker } }), { timeout: '2s' }, clock);
    await asked;
    clock.advance(2_499);
    clock.advance(1);
    const report = await looking;
    expect(of(report, 'broker.reach')).toMatchObject([
      {
        outcome: 'away',
        level: 'error',
        finding: 'The storage of memory cannot be reached: no answer within 2 s.',
      },
    ]);
  });

  it('does not ask the broker when it is offline', async () => {
    const { broker } = unanswering();
    const report = await diagnose(carelessModule(fixed(), { more: { broker } }), { offline: true });
    expect(of(report, 'broker.reach')).toMatchObject([{ outcome: 'unasked', level: 'advice' }]);
    expect(of(report, 'broker.server')).toMatchObject([{ outcome: 'unknown' }]);
  });

  it('shows what the storage of the broker says of itself', async () => {
    expect(of(await diagnose(carelessModule()), 'broker.server')).toMatchObject([
      { finding: WEAKNESS.problem, remedy: WEAKNESS.remedy },
    ]);
  });

  it('compares the limit of the memory with the memory of the machine', async () => {
    const report = await diagnose(carelessModule(fixed(), { away: true }));
    expect(of(report, 'operations.shedding')).toMatchObject([
      { outcome: 'never', subject: 'shedding.memoryLimit' },
    ]);
  });

  it('compares the drain with the grace period that it is given', async () => {
    const grace = async (given: `${number}s`) =>
      of(
        await diagnose(carelessModule(fixed('operations.drain/burst')), { grace: given }),
        'operations.drain',
      )[0]?.outcome;
    // The minute, and 5 s.
    expect(await grace('65s')).toBe('killed');
    expect(await grace('66s')).toBe('paced');
  });

  it.each([
    [
      'the constructor',
      () => {
        @Controller()
        class Probes {
          constructor(readonly indicator: RealtimeHealthIndicator) {}
        }
        return Probes;
      },
    ],
    [
      'a property',
      () => {
        @Controller()
        class Probes {
          @Inject(RealtimeHealthIndicator) readonly indicator: unknown;
        }
        return Probes;
      },
    ],
    [
      'a token',
      () => {
        @Controller()
        class Probes {
          constructor(@Inject(RealtimeHealthIndicator) readonly indicator: unknown) {}
        }
        return Probes;
      },
    ],
  ])('finds a probe that injects the health indicator by %s', async (_, controller) => {
    const module = carelessModule();
    const report = await diagnose({
      ...module,
      imports: [...(module.imports ?? []), RealtimeHealthModule],
      controllers: [controller()],
    });
    expect(of(report, 'operations.health')).toMatchObject([
      { outcome: 'mounted', finding: 'RealtimeHealthIndicator is asked by Probes.' },
    ]);
  });

  it('warns of a health indicator that nobody injects', async () => {
    const module = carelessModule();
    const report = await diagnose({ ...module, imports: [...(module.imports ?? []), RealtimeHealthModule] });
    expect(of(report, 'operations.health')).toMatchObject([{ outcome: 'unused', level: 'warning' }]);
  });

  it('counts the module of metrics as something that measures', async () => {
    @Module({ providers: [{ provide: 'MetricsRuntime', useValue: {} }] })
    class RealtimeMetricsModule {}
    const module = carelessModule();
    const report = await diagnose({ ...module, imports: [...(module.imports ?? []), RealtimeMetricsModule] });
    expect(of(report, 'operations.metrics')).toMatchObject([{ outcome: 'measured' }]);
  });

  it('looks at how often the module of metrics sends its probes', async () => {
    const module = carelessModule();
    const withProbes = (probeEvery: string | false) =>
      diagnose({
        ...module,
        imports: [
          ...(module.imports ?? []),
          RealtimeMetricsModule.forRoot({ registry: new Registry(), probeEvery: probeEvery as '1m' }),
        ],
      });
    expect(of(await withProbes('1m'), 'operations.metrics')).toMatchObject([{ outcome: 'rare' }]);
    expect(of(await withProbes(false), 'operations.metrics')).toMatchObject([{ outcome: 'rare' }]);
    expect(of(await withProbes('30s'), 'operations.metrics')).toMatchObject([{ outcome: 'measured' }]);
  });

  it('sees the idle connections of an application that it is given, and none of a module', async () => {
    const module = carelessModule();
    expect(of(await diagnose(module), 'transport.keep-alive')).toMatchObject([{ outcome: 'unseen' }]);
    const app = await NestFactory.create(module, new ExpressAdapter(), { logger: false });
    const server = app.getHttpServer() as Server;
    server.keepAliveTimeout = 5_000;
    expect(of(await diagnose(app), 'transport.keep-alive')).toMatchObject([{ outcome: 'shorter' }]);
    server.keepAliveTimeout = 65_000;
    expect(of(await diagnose(app), 'transport.keep-alive')).toMatchObject([{ outcome: 'longer' }]);
    await app.close();
  });

  it('never shows a secret', async () => {
    const ticketSecret = 'changeme-not-so-secret-in-a-report-1';
    const report = await diagnose(carelessModule(fixed(), { more: { ticketSecret } }));
    expect(of(report, 'access.secrets').map(({ outcome }) => outcome)).toContain('example');
    expect(JSON.stringify(report)).not.toContain(ticketSecret);
  });
});

describe('what is accepted', () => {
  it('fails nothing, keeps its reason, and is counted by itself', async () => {
    const report = await diagnose(carelessModule(), {
      accept: { 'transport.tls': 'inside of one host', 'channels.read/world:lobby': 'a public list' },
    });
    expect(of(report, 'transport.tls')).toMatchObject([{ level: 'warning', accepted: 'inside of one host' }]);
    expect(of(report, 'channels.read').map(({ subject, accepted }) => [subject, accepted])).toEqual(
      expect.arrayContaining([
        ['lobby', 'a public list'],
        ['rooms.:room', undefined],
      ]),
    );
    expect(report.counts.accepted).toBe(2);
    const all = Object.values(report.counts).reduce((sum, count) => sum + count);
    expect(all).toBe(report.findings.length);
  });

  it('is all that decides: an application passes once its errors are accepted, and strictly once its warnings are', async () => {
    const { findings } = await diagnose(carelessModule());
    const accept = (...levels: string[]) =>
      Object.fromEntries(
        findings.filter(({ level }) => levels.includes(level)).map(({ id }) => [id, 'a demo']),
      );
    const passes = async (levels: string[], strict: boolean) =>
      (await diagnose(carelessModule(), { accept: accept(...levels), strict })).passed;
    expect(await passes(['warning'], false)).toBe(false);
    expect(await passes(['error'], false)).toBe(true);
    expect(await passes(['error'], true)).toBe(false);
    expect(await passes(['error', 'warning'], true)).toBe(true);
  });

  it('is reported where nothing of it was found', async () => {
    const report = await diagnose(carelessModule(fixed('transport.hosts/any')), {
      accept: { 'transport.hosts': 'a proxy checks it', 'channels.read:halls': 'gone' },
    });
    expect(report.unused).toEqual(['transport.hosts', 'channels.read:halls']);
  });

  it.each([
    [{ 'transport.tlz': 'x' }, 'there is no check "transport.tlz"'],
    [{ 'transport.tls/never': 'x' }, 'there is no check "transport.tls/never"'],
    [{ 'transport.tls': ' ' }, '"transport.tls" has no reason'],
    [{ boot: 'x' }, '"boot" cannot be accepted'],
  ])('is refused where it cannot be: %j', async (accept, message) => {
    await expect(diagnose(carelessModule(), { accept: accept })).rejects.toThrow(message);
  });

  it.each([{ grace: 'soon' }, { timeout: 0 }])('is read with times that are times: %j', async (options) => {
    await expect(diagnose(carelessModule(), options as object)).rejects.toThrow(RangeError);
  });
});

/** A broker whose storage never answers, and when it was asked. */
function unanswering() {
  let note: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => (note = resolve));
  const inspect = (): Promise<never> => {
    note?.();
    return new Promise(() => undefined);
  };
  return { asked, broker: () => Object.assign(memoryBroker(), { inspect }) };
}
