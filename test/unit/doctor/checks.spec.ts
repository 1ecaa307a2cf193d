import { describe, expect, it } from '@jest/globals';
import { findingOf } from '../../../lib/doctor/check.js';
import { bootVerdicts, ModuleAbsent } from '../../../lib/doctor/checks/start.js';
import { CHECKS } from '../../../lib/doctor/checks/index.js';
import type { Facts } from '../../../lib/doctor/facts.js';
import { RealtimeBootError } from '../../../lib/nest/errors/realtime-boot-error.js';
import { CASES, one, REDIS, REPLICATED, said, traced, webhook } from './cases.js';
import { channelOf, factsOf } from './facts.js';

function findingsOf(id: string, facts: Facts) {
  const row = CHECKS.find((check) => check.id === id);
  if (row === undefined) throw new Error(`There is no check ${id}`);
  return row.judge(facts).map((verdict) => findingOf(row, verdict));
}

describe('the checks of the doctor', () => {
  it.each(CASES)('answer %s', (key, facts, values = '') => {
    const [id = '', outcome] = key.split('/');
    const findings = findingsOf(id, facts);
    expect(findings.map((finding) => finding.outcome)).toEqual([outcome]);
    const [{ finding, remedy = '' } = { finding: '' }] = findings;
    expect(`${finding} ${remedy}`).toContain(values);
    expect(finding + remedy).not.toMatch(/\{\w+\}/);
  });

  it('have no answer that none of these cases has', () => {
    const seen = new Set([...CASES.map(([key]) => key), 'boot/refused', 'boot/failed', 'boot/absent']);
    const all = CHECKS.flatMap(({ id, outcomes }) => Object.keys(outcomes).map((name) => `${id}/${name}`));
    expect(all.filter((key) => !seen.has(key))).toEqual([]);
  });

  it('say each secret, limit and channel that is weak, not only the first', () => {
    const weak = factsOf({
      auth: { jwt: { secret: 'short' } },
      ticketSecret: 'x'.repeat(32),
      limits: { maxConnectionsPerUser: 0, burst: 100_000 },
    });
    expect(findingsOf('access.secrets', weak).map(({ subject, outcome }) => [subject, outcome])).toEqual([
      ['auth.jwt.secret', 'short'],
      ['ticketSecret', 'example'],
    ]);
    expect(findingsOf('limits.clients', weak).map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['limits.maxConnectionsPerUser', 'limits.burst']),
    );
    const { hooks } = webhook({ url: 'http://a.example', allowHttp: true, maxAge: '1s', timeout: '1m' });
    expect(findingsOf('operations.hooks', factsOf({ hooks })).map(({ outcome }) => outcome)).toEqual([
      'plain',
      'brief',
      'slow',
    ]);
    const two = [{ maxAge: '1h' }, { maxAge: '1s' }] as const;
    const targets = two.map((more) => webhook(more).hooks.webhooks[0]);
    const second = { ...webhook({}).hooks, webhooks: targets };
    expect(findingsOf('operations.hooks', factsOf({ hooks: second }))).toMatchObject([
      { outcome: 'brief', subject: 'hooks.webhooks[1]' },
    ]);
    const thresholds = { loopDelay: '50ms', queueAge: '1m', memory: 20, memoryLimit: 2 ** 50 } as const;
    const steps = findingsOf('operations.shedding', factsOf({ shedding: thresholds }));
    expect(steps.map(({ subject, outcome }) => [subject, outcome])).toEqual([
      ['shedding.loopDelay', 'nervous'],
      ['shedding.queueAge', 'never'],
      ['shedding.memory', 'nervous'],
      ['shedding.memoryLimit', 'never'],
    ]);
    expect(
      findingsOf('operations.tracing', traced({ hasContexts: false, share: 1 })).map(
        ({ outcome }) => outcome,
      ),
    ).toEqual(['apart', 'all']);
    const channels = factsOf({}, { channels: [channelOf(), channelOf({ isPublic: true })] });
    expect(findingsOf('channels.read', channels).map(({ outcome }) => outcome)).toEqual(['asked', 'members']);
    const worst = { snapshot: undefined, ...said } as never;
    const lossy = one({
      log: { retain: false, ttlMs: 0, dedupeMs: 0 },
      policy: { overflow: 'drop-oldest' },
      behaviour: worst,
    });
    expect(findingsOf('channels.delivery', lossy).map(({ outcome }) => outcome)).toEqual([
      'forgets',
      'repeats',
      'drops',
    ]);
  });

  it('promise of each broker what it keeps, and when it delivers', () => {
    const said = (facts: Facts) => findingsOf('channels.delivery', facts)[0]?.finding ?? '';
    const of = (durability: 'broker' | 'replicated', broker: Facts['broker']) =>
      said(factsOf({ maxFlushDelay: 50 }, { broker, channels: [channelOf({ policy: { durability } })] }));
    expect(said(factsOf({ maxFlushDelay: 50 }))).toMatch(
      /it ends with it\. Delivered at once, under load within 100 ms\.$/,
    );
    expect(of('broker', REDIS)).toMatch(
      /survives every node\. Delivered after a round trip to redis, under load within 100 ms more\.$/,
    );
    expect(of('replicated', REPLICATED)).toContain('redis and its replicas have');
  });

  it('say what keeps an application from starting', () => {
    const problems = [{ path: 'auth', problem: 'is missing.', remedy: 'Set it.' }];
    expect(bootVerdicts(new RealtimeBootError(problems))).toEqual([
      { outcome: 'refused', see: 'options.md#options-of-the-module', values: problems[0] },
    ]);
    expect(bootVerdicts(new ModuleAbsent())).toEqual([{ outcome: 'absent' }]);
    expect(bootVerdicts(new Error('first line\nsecond'))).toEqual([
      { outcome: 'failed', values: { message: 'first line' } },
    ]);
    expect(bootVerdicts('thrown text')).toEqual([{ outcome: 'failed', values: { message: 'thrown text' } }]);
  });

  it('lead to the place that explains the remedy', () => {
    const seeOf = (path: string) => {
      const [verdict] = bootVerdicts(
        new RealtimeBootError([{ path, problem: 'is wrong.', remedy: 'Mend it.' }]),
      );
      const row = CHECKS.find(({ id }) => id === 'boot');
      return findingOf(row as (typeof CHECKS)[number], verdict as NonNullable<typeof verdict>).see;
    };
    expect(
      ['limits.burst', 'webhookTarget.url', 'redisBroker', 'RealtimeAdminModule: by'].map(seeOf),
    ).toEqual([
      'docs/options.md#options-of-the-module',
      'docs/hooks.md#webhooks',
      'docs/scaling.md#connect-to-redis',
      'docs/admin-api.md#mount-it',
    ]);
    expect(seeOf('RoomsGateway.say')).toBe('docs/guide.md#declare-a-channel');
    const [fresh] = findingsOf('channels.delivery', one({ behaviour: { snapshot: undefined } }));
    expect(fresh).toMatchObject({ outcome: 'fresh', see: 'docs/guide.md#give-newcomers-the-state' });
    const [short] = findingsOf('channels.delivery', one({ log: { ttlMs: 1 } }));
    expect(short).toMatchObject({
      outcome: 'short',
      see: 'docs/guide.md#keep-history-for-those-who-come-back',
    });
  });

  it('show neither user nor password of an address (G23)', () => {
    const issuer = 'https://ada:hunter2@id.example.com/';
    const facts = factsOf({ auth: { jwt: { jwks: { issuer, url: 'https://id.example.com/keys' } } } });
    const texts = ['access.connect', 'access.tokens'].flatMap((id) => findingsOf(id, facts));
    expect(JSON.stringify(texts)).toContain('https://***@id.example.com/');
    const boot = CHECKS.find(({ id }) => id === 'boot') as (typeof CHECKS)[number];
    const failed = bootVerdicts(new Error('connect to redis://:hunter2@10.0.0.1:6379 failed'));
    texts.push(...failed.map((verdict) => findingOf(boot, verdict)));
    expect(JSON.stringify(texts)).not.toContain('hunter2');
  });
});
