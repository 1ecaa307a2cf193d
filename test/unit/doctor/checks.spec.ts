import { describe, expect, it } from '@jest/globals';
import { findingOf } from '../../../lib/doctor/check.js';
import { bootVerdicts, ModuleAbsent } from '../../../lib/doctor/checks/start.js';
import { CHECKS } from '../../../lib/doctor/checks/index.js';
import type { Facts } from '../../../lib/doctor/facts.js';
import { memorySink } from '../../../lib/audit/index.js';
import { RealtimeBootError } from '../../../lib/nest/errors/realtime-boot-error.js';
import { repeatsAndBursts } from '../../../lib/moderation/index.js';
import { channelOf, factsOf, RANDOM, type ChannelChange } from './facts.js';

const REDIS = {
  name: 'redis',
  capabilities: { durability: 'broker', dedupes: true, presence: true },
} as const;
const REPLICATED = { ...REDIS, capabilities: { ...REDIS.capabilities, durability: 'replicated' } } as const;
const OTHER = 'b7Rw2Xk9Vq4Ns1Ld6Ty8Hj3Gm5Fc0PzE';
const ADMIN = { guards: ['StaffGuard'], guarded: true, asksAuthority: true, namesCaller: true };
const JWKS = { issuer: 'https://id.example.com/', url: 'https://id.example.com/keys' };

const anonymous = { auth: { jwt: { secret: RANDOM }, anonymous: true } };
const cookie = (secret: string) => ({
  auth: { jwt: { secret: RANDOM, audience: 'api' }, cookie: { name: 'session', csrf: { secret } } },
});
const said = { publish: new Map([['said', undefined]]) };
const requests = new Map([['kick', () => undefined]]);
const one = (change: ChannelChange, options: Parameters<typeof factsOf>[0] = {}): Facts =>
  factsOf(options, { channels: [channelOf(change)] });

/** Every outcome of every check, with facts that have it. */
const CASES: readonly (readonly [key: string, facts: Facts, values?: string])[] = [
  ['boot/boots', factsOf(), 'rooms.:room'],
  ['boot/empty', factsOf({}, { channels: [] })],
  ['transport.kinds/all', factsOf(), '/realtime'],
  ['transport.kinds/alone', factsOf({ transports: { sse: true, httpSessions: false } })],
  ['transport.heartbeat/heard', factsOf(), 'At most 35 s of silence, and proxies cut after 1 min.'],
  ['transport.heartbeat/unproxied', factsOf({ proxyIdleTimeout: false })],
  [
    'transport.heartbeat/cut',
    // As long as the proxies of most allow is too long: they cut at that moment.
    factsOf({ proxyIdleTimeout: false, heartbeat: { interval: '50s', timeout: '10s' } }),
    '1 min of silence',
  ],
  [
    'transport.heartbeat/patient',
    factsOf({ proxyIdleTimeout: '10m', heartbeat: { interval: '2m' } }),
    '10 min',
  ],
  ['transport.tls/required', factsOf({ requireTls: true, trustProxy: 1 })],
  ['transport.tls/open', factsOf()],
  ['transport.origins/listed', factsOf({ allowedOrigins: [/https:\/\/[a-z]+\.example\.com/] })],
  ['transport.origins/listed', factsOf({ allowedOrigins: 'same-origin' })],
  ['transport.origins/missing', factsOf()],
  ['transport.origins/any', factsOf({ allowedOrigins: /https:\/\/.*/ })],
  ['transport.origins/any', factsOf({ allowedOrigins: ['https://app.example.com', () => true] })],
  [
    'transport.origins/listed',
    factsOf({
      allowedOrigins: () => {
        throw new Error('this function needs a real handshake');
      },
    }),
  ],
  [
    'transport.hosts/listed',
    factsOf({ allowedHosts: ['a.example.com', 'b.example.com'] }),
    'a.example.com and b.example.com',
  ],
  ['transport.hosts/any', factsOf()],
  ['transport.proxies/none', factsOf({ trustProxy: false })],
  ['transport.proxies/none', factsOf({ trustProxy: 0 })],
  ['transport.proxies/some', factsOf({ trustProxy: 2 }), 'the last 2'],
  ['transport.proxies/some', factsOf({ trustProxy: ['10.0.0.0/8'] }), '10.0.0.0/8'],
  ['transport.proxies/unset', factsOf()],
  ['transport.proxies/anybody', factsOf({ trustProxy: ['0.0.0.0/0'] })],
  ['transport.proxies/anybody', factsOf({ trustProxy: () => true })],
  ['transport.query-token/off', factsOf()],
  ['transport.query-token/on', factsOf({ queryToken: 'jwt' }), '"jwt"'],
  ['transport.compression/off', factsOf()],
  ['transport.compression/off', factsOf({ compression: false })],
  ['transport.compression/on', factsOf({ compression: { threshold: 1_024 } })],
  ['access.connect/verified', factsOf(), 'a secret of tokens'],
  [
    'access.connect/verified',
    factsOf({ auth: { authenticate: () => ({ user: { id: 'u' } }) } }),
    'an authenticator',
  ],
  ['access.connect/beside', factsOf(anonymous)],
  ['access.connect/anonymous', factsOf({ auth: { anonymous: true } })],
  ['access.tokens/bound', factsOf(), 'the audience api'],
  ['access.tokens/own', factsOf({ auth: { authenticate: () => ({ user: { id: 'u' } }) } })],
  ['access.tokens/unbound', factsOf(anonymous)],
  ['access.tokens/foreign', factsOf({ auth: { jwt: { jwks: JWKS } } }), JWKS.issuer],
  ['access.tokens/bound', factsOf({ auth: { jwt: { jwks: JWKS, audience: 'api' } } })],
  ['access.tokens/bound', factsOf({ auth: { jwt: { jwks: { ...JWKS, audience: 'own' } } } }), 'own'],
  ['access.secrets/strong', factsOf({ ticketSecret: OTHER }), 'auth.jwt.secret and ticketSecret'],
  ['access.secrets/none', factsOf({ auth: { anonymous: true } })],
  ['access.secrets/short', factsOf({ auth: { jwt: { secret: RANDOM.slice(1) } } })],
  ['access.secrets/example', factsOf(cookie('this-is-the-example-of-the-guide'))],
  ['access.secrets/example', factsOf({ ticketSecret: 't'.repeat(32) })],
  ['access.secrets/shared', factsOf({ ticketSecret: RANDOM }), 'the same text as auth.jwt.secret'],
  ['access.tickets/set', factsOf({ ticketSecret: OTHER })],
  ['access.tickets/single', factsOf()],
  ['access.tickets/random', factsOf({}, { broker: REDIS })],
  ['access.admin/unmounted', factsOf()],
  ['access.admin/guarded', factsOf({}, { admin: ADMIN }), 'StaffGuard'],
  ['access.admin/open', factsOf({}, { admin: { ...ADMIN, guarded: false } })],
  ['access.admin/equal', factsOf({}, { admin: { ...ADMIN, asksAuthority: false } })],
  ['access.admin/nameless', factsOf({}, { admin: { ...ADMIN, namesCaller: false } })],
  ['channels.read/asked', factsOf(), 'RoomsGateway'],
  ['channels.read/blind', one({ blind: ['subscribe'] })],
  ['channels.read/members', one({ isPublic: true })],
  ['channels.read/world', one({ isPublic: true }, anonymous)],
  ['channels.publish/nobody', factsOf()],
  [
    'channels.publish/asked',
    one({ behaviour: { ...said, signals: new Set(['typing']) } }),
    'said and typing',
  ],
  // What no client can send needs no authorization.
  ['channels.publish/asked', one({ behaviour: said, blind: ['signal', 'history'] })],
  ['channels.publish/blind', one({ behaviour: said, blind: ['publish'] })],
  [
    'channels.publish/blind',
    one({ behaviour: { signals: new Set(['typing']) }, blind: ['signal'] }),
    'typing',
  ],
  ['channels.publish/world', one({ behaviour: said, blind: ['publish'] }, anonymous)],
  ['channels.requests/none', factsOf()],
  ['channels.requests/none', one({ isPublic: true })],
  ['channels.requests/asked', one({ behaviour: { requests } }), 'kick'],
  [
    'channels.requests/asked',
    one({ isPublic: true, behaviour: { requests, authorize: { subscribe: 'public', request: () => true } } }),
  ],
  ['channels.requests/public', one({ isPublic: true, behaviour: { requests } }), 'kick'],
  [
    'channels.requests/public',
    one({ blind: ['request'], behaviour: { requests, authorize: { request: () => true } } }),
  ],
  ['channels.requests/public', factsOf({}, { openRequests: ['time'] }), 'time'],
  ['channels.requests/world', factsOf(anonymous, { openRequests: ['time'] })],
  ['channels.delivery/kept', factsOf(), 'up to 1000 events (8 MiB) of the last 1 h, and a snapshot beyond'],
  [
    'channels.delivery/kept',
    one({ log: { retain: false, size: 0, maxBytes: 0, ttlMs: 0 } }),
    'Nothing is kept',
  ],
  ['channels.delivery/kept', one({ policy: { overflow: 'conflate' } })],
  [
    'channels.delivery/forgets',
    one({ log: { retain: false, ttlMs: 0 }, behaviour: { snapshot: undefined } }),
  ],
  // Twice 20 s, and 10 s.
  ['channels.delivery/short', one({ log: { ttlMs: 50_000 } }), '50 s'],
  ['channels.delivery/kept', one({ log: { ttlMs: 50_001 } })],
  ['channels.delivery/fresh', one({ behaviour: { snapshot: undefined } })],
  ['channels.delivery/repeats', one({ log: { dedupeMs: 0 }, behaviour: said })],
  ['channels.delivery/kept', one({ log: { dedupeMs: 0 } })],
  [
    'channels.delivery/drops',
    one({ policy: { overflow: 'drop-newest' }, behaviour: { snapshot: undefined } }),
  ],
  ['broker.durability/process', factsOf()],
  ['broker.durability/broker', factsOf({}, { broker: REDIS }), 'redis'],
  ['broker.durability/replicated', factsOf({}, { broker: REPLICATED })],
  ['broker.reach/inside', factsOf()],
  ['broker.reach/silent', factsOf({}, { broker: REDIS, storage: { state: 'silent' } })],
  [
    'broker.reach/answered',
    factsOf({}, { storage: { state: 'asked', tookMs: 7.4, weaknesses: [] } }),
    '7 ms',
  ],
  ['broker.reach/unasked', factsOf({}, { storage: { state: 'unasked' } })],
  ['broker.reach/away', factsOf({}, { storage: { state: 'away', why: 'ECONNREFUSED' } }), 'ECONNREFUSED'],
  ['broker.server/fit', factsOf({}, { storage: { state: 'asked', tookMs: 1, weaknesses: [] } })],
  ['broker.server/unknown', factsOf()],
  [
    'broker.server/weak',
    factsOf(
      {},
      { storage: { state: 'asked', tookMs: 1, weaknesses: [{ problem: 'It drops.', remedy: 'Stop it.' }] } },
    ),
    'It drops.',
  ],
  [
    'limits.clients/bounded',
    factsOf(),
    '50 commands a second, 100 connections of a user, 1000 of an address.',
  ],
  [
    'limits.clients/bounded',
    factsOf({ limits: { ratePerSecond: 500, forUser: () => undefined } }),
    'limits.forUser',
  ],
  [
    'limits.clients/off',
    factsOf({ limits: { nodeConnectsPerSecond: 0 } }),
    'limits.nodeConnectsPerSecond is 0',
  ],
  ['limits.clients/high', factsOf({ limits: { ratePerSecond: 501 } }), 'limits.ratePerSecond is 501'],
  ['limits.abuse/banned', factsOf(), 'Cut after 200 violations in 10 s, and refused for 1 min.'],
  ['limits.abuse/banned', factsOf({ abuse: { closeAfter: 2_000 } })],
  ['limits.abuse/lenient', factsOf({ abuse: { closeAfter: 2_001 } }), 'abuse.closeAfter is 2001'],
  ['limits.abuse/back', factsOf({ abuse: { ban: 0 } })],
  ['limits.abuse/hammered', factsOf({ circuits: { clientFailures: 0 } })],
  [
    'limits.spam/judged',
    one({ behaviour: said }, { moderation: { spam: { detector: repeatsAndBursts() } } }),
    '4 steps',
  ],
  ['limits.spam/silent', factsOf()],
  ['limits.spam/unjudged', one({ behaviour: said })],
  ['operations.health/mounted', factsOf(), 'HealthController'],
  ['operations.health/unused', factsOf({}, { health: [] })],
  ['operations.health/missing', factsOf({}, { health: undefined })],
  ['operations.metrics/measured', factsOf(), 'Recorder'],
  ['operations.metrics/blind', factsOf({}, { metrics: [] })],
  ['operations.drain/paced', factsOf(), '15 s of the 30 s'],
  ['operations.drain/killed', factsOf({}, { graceMs: 15_000 }), 'below 10 s'],
  ['operations.drain/paced', factsOf({}, { graceMs: 15_001 })],
  ['operations.drain/cut', factsOf({ drain: { deadline: 0 } })],
  ['operations.drain/burst', factsOf({ drain: { spread: 0 } })],
  ['operations.drain/paced', factsOf({ drain: { deadline: 0 } }, { attaches: false })],
  [
    'operations.audit/kept',
    factsOf({ audit: { sinks: [{ name: 'table', write: () => undefined }] } }),
    'table',
  ],
  [
    'operations.audit/kept',
    factsOf({ audit: { sinks: [{ write: () => undefined }] } }),
    'a sink of the application',
  ],
  [
    'operations.audit/unreadable',
    factsOf({ audit: { sinks: [{ name: 'table', write: () => undefined }] } }, { admin: ADMIN }),
    'table',
  ],
  [
    'operations.audit/kept',
    factsOf(
      { audit: { sinks: [{ name: 'table', write: () => undefined }, memorySink()] } },
      { admin: ADMIN },
    ),
    'table',
  ],
  ['operations.audit/forgotten', factsOf({}, { admin: ADMIN })],
  ['operations.audit/memory', factsOf()],
];

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
      { outcome: 'refused', values: problems[0] },
    ]);
    expect(bootVerdicts(new ModuleAbsent())).toEqual([{ outcome: 'absent' }]);
    expect(bootVerdicts(new Error('first line\nsecond'))).toEqual([
      { outcome: 'failed', values: { message: 'first line' } },
    ]);
    expect(bootVerdicts('thrown text')).toEqual([{ outcome: 'failed', values: { message: 'thrown text' } }]);
  });
});
