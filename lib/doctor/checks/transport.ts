import type { Handshake } from '../../core/ports/connection.js';
import { endsTooSoon, KEEP_ALIVE_REMEDY, USUAL_REUSE_MS } from '../../nest/lifecycle/keep-alive.js';
import { compileTrust } from '../../transports/http/client-address.js';
import { compileOrigins } from '../../transports/http/origin.js';
import { check, type Check } from '../check.js';
import type { Facts } from '../facts.js';
import { list, time } from '../words.js';

/** Silence after which most proxies and load balancers cut unless they are told otherwise: nginx, AWS ALB, Heroku. */
const USUAL_IDLE_MS = 60_000;
/** Origins and addresses that nobody has: a rule that takes all of them takes any. */
const STRANGERS = ['https://doctor.invalid', 'https://nobody.doctor.invalid:8443'];
const STRANGE_ADDRESSES = ['203.0.113.77', '198.51.100.7'] as const;

const kinds = check({
  id: 'transport.kinds',
  title: 'Transports',
  asks: 'What do clients connect with, and why that?',
  see: 'choosing-a-transport.md#decide',
  outcomes: {
    all: {
      level: 'ok',
      finding:
        'WebSocket on {path}, both ways at the least cost; where a network breaks it, client libraries fall back to sessions over HTTP{feeds}.',
    },
    alone: {
      level: 'advice',
      finding:
        'WebSocket alone on {path}: networks that break it keep their clients out, as sessions over HTTP are off.',
      remedy: 'Set transports: { httpSessions: true }, and give clients fallback: httpFallback().',
    },
  },
  judge: ({ config: { httpSessions, sse, transport } }) => [
    {
      outcome: httpSessions ? 'all' : 'alone',
      values: { path: transport.path, feeds: sse ? '; plain event streams serve EventSource and curl' : '' },
    },
  ],
});

const heartbeat = check({
  id: 'transport.heartbeat',
  title: 'Heartbeats',
  asks: 'Is every connection heard of before a proxy cuts it as idle?',
  see: 'deployment.md#tell-the-module-about-the-proxy',
  outcomes: {
    heard: { level: 'ok', finding: 'At most {silence} of silence, and proxies cut after {idle}.' },
    unproxied: {
      level: 'ok',
      finding:
        'At most {silence} of silence: proxyIdleTimeout is false, and the 60 s of most proxies would do too.',
    },
    cut: {
      level: 'error',
      finding:
        'Up to {silence} of silence, and proxyIdleTimeout says that no proxy cuts: ALB and nginx cut after 60 s, so idle clients would lose their connections all day.',
      remedy: 'Leave proxyIdleTimeout out, and shorten heartbeat.interval (default 25s).',
    },
    patient: {
      level: 'warning',
      finding:
        'Up to {silence} of silence, as proxyIdleTimeout is {idle}; ALB and nginx cut after 60 s unless they are told otherwise.',
      remedy:
        'Make sure that every proxy on the way allows {idle}, or shorten heartbeat.interval (default 25s).',
    },
  },
  judge: ({ config: { settings, proxyIdleMs } }) => {
    const silenceMs = settings.heartbeat.intervalMs + settings.heartbeat.timeoutMs;
    const values = { silence: time(silenceMs), idle: proxyIdleMs === false ? '' : time(proxyIdleMs) };
    if (silenceMs < USUAL_IDLE_MS)
      return [{ outcome: proxyIdleMs === false ? 'unproxied' : 'heard', values }];
    return [{ outcome: proxyIdleMs === false ? 'cut' : 'patient', values }];
  },
});

const tls = check({
  id: 'transport.tls',
  title: 'TLS',
  asks: 'Is what did not come over TLS refused?',
  see: 'deployment.md#end-tls-yourself-and-require-it',
  outcomes: {
    required: {
      level: 'ok',
      finding: 'requireTls refuses what did not come over TLS before a credential is read.',
    },
    open: {
      level: 'warning',
      finding: 'requireTls is off: a client that uses ws: or http: sends its token in the clear.',
      remedy: 'Set requireTls: true, and trustProxy to the proxy that ends TLS.',
    },
  },
  judge: ({ config }) => [{ outcome: config.transport.requireTls === true ? 'required' : 'open' }],
});

const origins = check({
  id: 'transport.origins',
  title: 'Origins',
  asks: 'Which pages may connect?',
  see: 'security.md#harden-an-application',
  outcomes: {
    listed: { level: 'ok', finding: 'allowedOrigins names the pages that may connect.' },
    missing: {
      level: 'warning',
      finding: 'allowedOrigins is not set: any page may connect with a token that it got hold of.',
      remedy: "Set allowedOrigins to the origins of your pages, or 'same-origin'.",
    },
    any: {
      level: 'error',
      finding:
        'allowedOrigins has a rule that takes any origin: every page may connect, and with auth.cookie as the visitor who opened it.',
      remedy: "Name the origins: allowedOrigins: ['https://app.example.com'].",
    },
  },
  judge: (facts) => [
    {
      outcome:
        facts.config.transport.allowedOrigins === undefined
          ? 'missing'
          : takesStrangers(facts)
            ? 'any'
            : 'listed',
    },
  ],
});

function takesStrangers({ config: { transport } }: Facts): boolean {
  const handshake: Handshake = {
    transport: 'websocket',
    headers: { host: 'app.invalid' },
    url: transport.path,
    ip: STRANGE_ADDRESSES[0],
    network: STRANGE_ADDRESSES[0],
    secure: true,
  };
  try {
    const allows = compileOrigins(transport.allowedOrigins ?? []);
    return STRANGERS.every((origin) => allows(origin, handshake, 'https'));
  } catch {
    // A function of the application that needs more of a handshake than there is here.
    return false;
  }
}

const hosts = check({
  id: 'transport.hosts',
  title: 'Hosts',
  asks: 'Under which names is the server reached?',
  see: 'security.md#harden-an-application',
  outcomes: {
    listed: { level: 'ok', finding: 'allowedHosts names them: {hosts}.' },
    any: {
      level: 'advice',
      finding:
        'allowedHosts is not set: a page whose name leads to this server for a moment is of the same origin (DNS rebinding).',
      remedy: 'Set allowedHosts to the names of the server, unless a proxy in front refuses all others.',
    },
  },
  judge: ({ config: { transport } }) => [
    transport.allowedHosts === undefined
      ? { outcome: 'any' }
      : { outcome: 'listed', values: { hosts: list(transport.allowedHosts) } },
  ],
});

const proxies = check({
  id: 'transport.proxies',
  title: 'Proxies',
  asks: 'Whose headers say where a client comes from?',
  see: 'deployment.md#tell-the-module-about-the-proxy',
  outcomes: {
    none: { level: 'ok', finding: 'trustProxy is false: the address of the socket counts.' },
    some: { level: 'ok', finding: 'trustProxy trusts {whom}.' },
    unset: {
      level: 'warning',
      finding:
        'trustProxy is not set: behind a proxy all clients are one address, which one of them can get limited and banned.',
      remedy: 'Set trustProxy to your proxies, their number or networks, or to false where there are none.',
    },
    anybody: {
      level: 'error',
      finding: 'trustProxy trusts any address: a client writes its own, and so evades limits and bans.',
      remedy: "Name the networks of your proxies: trustProxy: ['10.0.0.0/8'].",
    },
  },
  judge: ({ config: { transport } }) => {
    const { trustProxy } = transport;
    if (trustProxy === undefined) return [{ outcome: 'unset' }];
    const trust = compileTrust(trustProxy);
    if (trust === false) return [{ outcome: 'none' }];
    if (typeof trust === 'function' && STRANGE_ADDRESSES.every((address) => trust(address)))
      return [{ outcome: 'anybody' }];
    const whom =
      typeof trust === 'number'
        ? `the last ${trust} in front of the server`
        : Array.isArray(trustProxy)
          ? list(trustProxy as string[])
          : 'those that a function names';
    return [{ outcome: 'some', values: { whom } }];
  },
});

const keepAlive = check({
  id: 'transport.keep-alive',
  title: 'Idle connections',
  asks: 'Do proxies end the connections that they reuse before the server does?',
  see: 'deployment.md#run-behind-nginx',
  outcomes: {
    unproxied: { level: 'ok', finding: 'trustProxy is false: clients end their connections themselves.' },
    longer: {
      level: 'ok',
      finding: 'The server keeps idle connections {keep}, longer than the {reuse} of most proxies.',
    },
    shorter: {
      level: 'warning',
      finding:
        'The server ends idle connections after {keep}, and most proxies reuse theirs for {reuse}: what they send in that moment is answered with 502.',
      remedy:
        'Write {code} in main.ts before it listens, above the time of your proxies; or accept this where they end theirs sooner, as nginx with keepalive_timeout 4s.',
    },
    unseen: {
      level: 'advice',
      finding:
        'main.ts makes the server, so its keepAliveTimeout is not seen here: Node ends idle connections after 5 s, and most proxies reuse theirs for {reuse}.',
      remedy:
        'Write {code} in main.ts before it listens, and give the doctor a function that makes the application, or accept this; without proxies, set trustProxy: false.',
    },
  },
  judge: ({ config: { transport }, keepAliveMs }) => {
    if (transport.trustProxy !== undefined && compileTrust(transport.trustProxy) === false)
      return [{ outcome: 'unproxied' }];
    const values = { reuse: time(USUAL_REUSE_MS), code: KEEP_ALIVE_REMEDY };
    if (keepAliveMs === undefined) return [{ outcome: 'unseen', values }];
    const keep = keepAliveMs === 0 ? 'without end' : time(keepAliveMs);
    if (endsTooSoon(keepAliveMs)) return [{ outcome: 'shorter', values: { ...values, keep } }];
    return [{ outcome: 'longer', values: { ...values, keep: keepAliveMs === 0 ? keep : `for ${keep}` } }];
  },
});

const queryToken = check({
  id: 'transport.query-token',
  title: 'Tokens in addresses',
  asks: 'Can a token be in an address, which proxies and servers log?',
  see: 'guarantees.md#g23-tokens-are-not-in-addresses-or-logs',
  outcomes: {
    off: { level: 'ok', finding: 'queryToken is off.' },
    on: {
      level: 'warning',
      finding: 'queryToken is "{name}": tokens are in the logs of every proxy on the way.',
      remedy: 'Leave queryToken out: clients send the token in the subprotocol, in a header or in hello.',
    },
  },
  judge: ({ config: { transport } }) => [
    transport.queryToken === undefined
      ? { outcome: 'off' }
      : { outcome: 'on', values: { name: transport.queryToken } },
  ],
});

const compression = check({
  id: 'transport.compression',
  title: 'Compression',
  asks: 'Can secrets be guessed from the sizes of compressed frames?',
  see: 'guarantees.md#g24-size-limits-hold-before-parsing',
  outcomes: {
    off: { level: 'ok', finding: 'compression is off.' },
    on: {
      level: 'warning',
      finding:
        'compression is on: where a frame has a secret beside what an attacker chooses, its size tells about the secret, and it costs CPU.',
      remedy: 'Leave compression out, or keep it where no event has secrets, and accept this.',
    },
  },
  judge: ({ config: { transport } }) => [{ outcome: transport.compression === undefined ? 'off' : 'on' }],
});

export const TRANSPORT: readonly Check[] = [
  kinds,
  heartbeat,
  tls,
  origins,
  hosts,
  proxies,
  keepAlive,
  queryToken,
  compression,
];
