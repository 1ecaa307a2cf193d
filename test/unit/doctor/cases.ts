import type { TracingFacts } from '../../../lib/core/ports/tracer.js';
import { logSink, memorySink } from '../../../lib/audit/index.js';
import type { Facts } from '../../../lib/doctor/facts.js';
import {
  realtimeHooks,
  webhookTarget,
  type RealtimeHooksOptions,
  type WebhookOptions,
} from '../../../lib/hooks/index.js';
import { repeatsAndBursts } from '../../../lib/moderation/index.js';
import { channelOf, factsOf, RANDOM, type ChannelChange } from './facts.js';

export const REDIS = {
  name: 'redis',
  capabilities: { durability: 'broker', dedupes: true, presence: true },
} as const;
export const REPLICATED = {
  ...REDIS,
  capabilities: { ...REDIS.capabilities, durability: 'replicated' },
} as const;
const OTHER = 'b7Rw2Xk9Vq4Ns1Ld6Ty8Hj3Gm5Fc0PzE';
const ADMIN = { guards: ['StaffGuard'], guarded: true, asksAuthority: true, namesCaller: true };
const JWKS = { issuer: 'https://id.example.com/', url: 'https://id.example.com/keys' };

const anonymous = { auth: { jwt: { secret: RANDOM }, anonymous: true } };
const cookie = (secret: string) => ({
  auth: { jwt: { secret: RANDOM, audience: 'api' }, cookie: { name: 'session', csrf: { secret } } },
});
export const said = { publish: new Map([['said', undefined]]) };
const requests = new Map([['kick', () => undefined]]);
export const one = (change: ChannelChange, options: Parameters<typeof factsOf>[0] = {}): Facts =>
  factsOf(options, { channels: [channelOf(change)] });

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const whsec = (text: string): string => `whsec_${Buffer.from(text).toString('base64')}`;
const hooked = (options: RealtimeHooksOptions) => ({ hooks: realtimeHooks(options) });
export const webhook = (
  { url = 'https://hooks.example.com', ...more }: Partial<WebhookOptions>,
  isSigned = false,
) => hooked({ webhooks: [webhookTarget({ url, ...(isSigned ? {} : { secret: whsec(OTHER) }), ...more })] });
const spamIn = (...channels: string[]) => ({
  moderation: { spam: { detector: repeatsAndBursts(), channels } },
});
const TRACED = { tracing: { start: () => undefined } };
export const traced = (facts: Partial<TracingFacts>): Facts =>
  factsOf(TRACED, { tracing: { hasProvider: true, hasContexts: true, share: 0.01, ...facts } });

/** Every outcome of every check, with facts that have it. */
export const CASES: readonly (readonly [key: string, facts: Facts, values?: string])[] = [
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
  ['transport.keep-alive/unproxied', factsOf({ trustProxy: 0 }, { keepAliveMs: 5_000 })],
  ['transport.keep-alive/longer', factsOf({ trustProxy: 1 }), 'for 65 s'],
  ['transport.keep-alive/longer', factsOf({ trustProxy: 1 }, { keepAliveMs: 60_001 })],
  ['transport.keep-alive/longer', factsOf({ trustProxy: 1 }, { keepAliveMs: 0 }), 'connections without end'],
  ['transport.keep-alive/shorter', factsOf({ trustProxy: 1 }, { keepAliveMs: 60_000 }), 'after 1 min'],
  // Nobody said that there are none.
  ['transport.keep-alive/shorter', factsOf({}, { keepAliveMs: 5_000 }), 'after 5 s'],
  ['transport.keep-alive/unseen', factsOf({ trustProxy: 1 }, { keepAliveMs: undefined })],
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
  ['operations.metrics/measured', factsOf({}, { probeEveryMs: 30_000 })],
  // An observer of the application has no probes to judge.
  ['operations.metrics/measured', factsOf({}, { probeEveryMs: undefined })],
  ['operations.metrics/blind', factsOf({}, { metrics: [], probeEveryMs: undefined })],
  ['operations.metrics/rare', factsOf({}, { probeEveryMs: 30_001 }), 'a probe every 30001 ms only'],
  ['operations.metrics/rare', factsOf({}, { probeEveryMs: 0 }), 'no probes'],
  ['operations.drain/paced', factsOf(), '15 s of the 30 s'],
  ['operations.drain/killed', factsOf({}, { graceMs: 15_000 }), 'below 10 s'],
  ['operations.drain/paced', factsOf({}, { graceMs: 15_001 })],
  ['operations.drain/cut', factsOf({ drain: { deadline: 0 } })],
  ['operations.drain/burst', factsOf({ drain: { spread: 0 } })],
  ['operations.drain/paced', factsOf({ drain: { deadline: 0 } }, { attaches: false })],
  ['channels.named/none', factsOf()],
  [
    'channels.named/exist',
    factsOf(hooked({ channels: ['rooms.:id', 'rooms.7', '$user.:id'] })),
    'rooms.:id, rooms.7 and $user.:id',
  ],
  ['channels.named/exist', factsOf(spamIn('rooms.:room'))],
  [
    'channels.named/unmatched',
    factsOf(spamIn('rooms.:room', 'lobby')),
    'moderation.spam.channels[1] is "lobby"',
  ],
  ['channels.named/unmatched', factsOf(hooked({ channels: ['rooms.:room.log'] })), 'hooks.channels[0]'],
  ['operations.rotation/single', factsOf()],
  ['operations.rotation/never', factsOf({}, { broker: REDIS })],
  ['operations.rotation/never', factsOf({}, { broker: REPLICATED })],
  ['operations.rotation/rotated', factsOf({ maxConnectionAge: '10m' }, { broker: REDIS }), '8 min to 10 min'],
  ['operations.rotation/rotated', factsOf({ maxConnectionAge: '1h' })],
  ['operations.rotation/hasty', factsOf({ maxConnectionAge: '599s' }), '599 s'],
  [
    'operations.shedding/sheds',
    factsOf(),
    'From 500 ms of delay, 95 % of the memory of the container, or of the heap or 3 s of waiting on for 3 s',
  ],
  ['operations.shedding/off', factsOf({ shedding: false })],
  // Of 10 s that a pong may take, and 35 s of silence.
  [
    'operations.shedding/sheds',
    factsOf({ shedding: { loopDelay: 9_999, queueAge: 9_999, raiseAfter: 34_999 } }),
  ],
  ['operations.shedding/never', factsOf({ shedding: { loopDelay: 10_000 } }), 'shedding.loopDelay is 10 s'],
  ['operations.shedding/never', factsOf({ shedding: { queueAge: '10s' } }), 'shedding.queueAge is 10 s'],
  ['operations.shedding/never', factsOf({ shedding: { raiseAfter: '35s' } }), 'shedding.raiseAfter is 35 s'],
  [
    'operations.shedding/never',
    factsOf({ shedding: { memoryLimit: 20 * GIB } }),
    'the machine has 16384 MiB',
  ],
  ['operations.shedding/sheds', factsOf({ shedding: { memoryLimit: 16 * GIB } }), '95 % of 16384 MiB'],
  ['operations.shedding/sheds', factsOf({ shedding: { loopDelay: 100, queueAge: 500, memory: 60 } })],
  ['operations.shedding/nervous', factsOf({ shedding: { loopDelay: 99 } }), 'shedding.loopDelay is 99 ms'],
  ['operations.shedding/nervous', factsOf({ shedding: { queueAge: 499 } }), 'shedding.queueAge to 500 ms'],
  ['operations.shedding/nervous', factsOf({ shedding: { memory: 59 } }), 'shedding.memory is 59 %'],
  // 95 % of it are a byte less than 128 MiB.
  [
    'operations.shedding/nervous',
    factsOf({ shedding: { memoryLimit: 141_281_818 } }),
    'shedding.memoryLimit to 135 MiB or more',
  ],
  ['operations.shedding/sheds', factsOf({ shedding: { memoryLimit: 135 * MIB } })],
  ['operations.hooks/none', factsOf()],
  ['operations.hooks/idle', factsOf(hooked({ channels: ['rooms.:room'] }))],
  ['operations.hooks/called', factsOf(webhook({}))],
  ['operations.hooks/called', factsOf(webhook({ url: 'http://127.0.0.1:8080/' }))],
  ['operations.hooks/called', factsOf(webhook({ maxAge: '5m', timeout: '30s' })), 'providers 0, webhooks 1'],
  ['operations.hooks/called', factsOf(hooked({ providers: [class Hooks {}] })), 'providers 1, webhooks 0'],
  [
    'operations.hooks/called',
    factsOf(
      hooked({
        webhooks: [{ name: 'own', types: new Set(['user.offline']), deliver: () => Promise.resolve() }],
      }),
    ),
  ],
  [
    'operations.hooks/guessable',
    factsOf(webhook({ secrets: [whsec(RANDOM), whsec('b'.repeat(32))] }, true)),
    'hooks.webhooks[0]',
  ],
  [
    'operations.hooks/plain',
    factsOf(webhook({ url: 'http://hooks.example.com', allowHttp: true })),
    'http://hooks.example.com',
  ],
  ['operations.hooks/brief', factsOf(webhook({ maxAge: 299_999 })), '299999 ms'],
  ['operations.hooks/slow', factsOf(webhook({ timeout: 30_001 })), '30001 ms'],
  ['operations.tracing/off', factsOf()],
  ['operations.tracing/own', factsOf(TRACED)],
  ['operations.tracing/own', traced({ share: undefined })],
  ['operations.tracing/sampled', traced({ share: 0.025 }), '2.5 %'],
  ['operations.tracing/absent', traced({ hasProvider: false })],
  ['operations.tracing/apart', traced({ hasContexts: false })],
  ['operations.tracing/all', traced({ share: 1 })],
  ['operations.tracing/nothing', traced({ share: 0 })],
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
  [
    'operations.audit/apart',
    factsOf({ audit: { sinks: [logSink(), memorySink()] } }, { admin: ADMIN, broker: REDIS }),
    'each node lists only what was done through it. Put redisSink()',
  ],
  [
    'operations.audit/kept',
    factsOf(
      {
        audit: {
          sinks: [{ name: 'redis', write: () => undefined, read: () => ({ entries: [] }) }, memorySink()],
        },
      },
      { admin: ADMIN, broker: REDIS },
    ),
    'redis',
  ],
  ['operations.audit/forgotten', factsOf({}, { admin: ADMIN }), '[logSink(), memorySink()]'],
  ['operations.audit/forgotten', factsOf({}, { admin: ADMIN, broker: REDIS }), '[redisSink(), logSink()]'],
  [
    'operations.audit/unreadable',
    factsOf({ audit: { sinks: [logSink()] } }, { admin: ADMIN, broker: REDIS }),
    'Add redisSink() of',
  ],
  ['operations.audit/memory', factsOf()],
];
