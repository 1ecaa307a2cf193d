import type { RealtimeConfig } from '../../nest/options/resolve-options.js';
import { check, type Check, type Verdict } from '../check.js';
import { weaknessOf } from '../secrets.js';
import { list } from '../words.js';

const connect = check({
  id: 'access.connect',
  title: 'Who connects',
  asks: 'What has a client to prove before it is welcome?',
  see: 'guide.md#authenticate-clients',
  outcomes: {
    verified: { level: 'ok', finding: 'Every client is verified by {how}.' },
    beside: {
      level: 'warning',
      finding: 'Clients are verified by {how}, and those without credentials may connect too.',
      remedy:
        'Leave auth.anonymous out, unless visitors are meant to connect: then look at each channels.read.',
    },
    anonymous: {
      level: 'warning',
      finding:
        'Everybody may connect: nothing is verified, and limits and bans know clients by their address only.',
      remedy: 'Set auth.jwt or an authenticator, and leave auth.anonymous out.',
    },
  },
  judge: ({ config }) => {
    const { auth, settings } = config;
    if (auth.mode === 'anonymous') return [{ outcome: 'anonymous' }];
    return [{ outcome: settings.anonymous ? 'beside' : 'verified', values: { how: verifierOf(config) } }];
  },
});

function verifierOf({ auth, connect: hook }: RealtimeConfig): string {
  const then = hook === undefined ? '' : `, then by ${hook.name}`;
  if (auth.mode === 'custom') {
    const { authenticator } = auth;
    const { name } = typeof authenticator === 'function' ? authenticator : authenticator.constructor;
    return (name === 'Object' ? 'an authenticator' : name) + then;
  }
  if (auth.mode !== 'jwt') return `nothing${then}`;
  const { jwks, publicKey } = auth.jwt;
  if (jwks !== undefined) return `the keys of ${list([jwks].flat().map(({ issuer }) => issuer))}${then}`;
  return `a ${publicKey === undefined ? 'secret' : 'public key'} of tokens${then}`;
}

const tokens = check({
  id: 'access.tokens',
  title: 'Tokens',
  asks: 'Are tokens refused that were issued for something else?',
  see: 'security.md#harden-an-application',
  outcomes: {
    bound: { level: 'ok', finding: 'Tokens must name the audience {audience}.' },
    own: { level: 'ok', finding: 'The application verifies credentials by its own code, or none.' },
    unbound: {
      level: 'advice',
      finding: 'auth.jwt.audience is not set: tokens that the same key signs for other purposes may connect.',
      remedy: 'Give these tokens an aud of their own, and set auth.jwt.audience to it.',
    },
    foreign: {
      level: 'error',
      finding:
        'auth.jwt.jwks has no audience for {issuers}: tokens for any other application of it are accepted.',
      remedy: 'Set auth.jwt.audience to the identifier of this API.',
    },
  },
  judge: ({ config: { auth } }) => {
    if (auth.mode !== 'jwt') return [{ outcome: 'own' }];
    const { audience, jwks } = auth.jwt;
    const issuers = jwks === undefined ? [] : [jwks].flat();
    const open = issuers.filter((one) => (one.audience ?? audience) === undefined);
    if (open.length > 0)
      return [{ outcome: 'foreign', values: { issuers: list(open.map(({ issuer }) => issuer)) } }];
    const named = [...issuers.flatMap((one) => one.audience ?? []), ...[audience ?? []].flat()];
    return named.length === 0
      ? [{ outcome: 'unbound' }]
      : [{ outcome: 'bound', values: { audience: list([...new Set(named)]) } }];
  },
});

const secrets = check({
  id: 'access.secrets',
  title: 'Secrets',
  asks: 'Can a secret of the options be guessed?',
  see: 'security.md#harden-an-application',
  outcomes: {
    strong: { level: 'ok', finding: 'Long enough, and no examples: {names}.' },
    none: { level: 'ok', finding: 'The options have no secrets.' },
    short: {
      level: 'error',
      finding: '{name} has less than 32 bytes: it can be guessed from one token, offline (RFC 7518 §3.2).',
      remedy: 'Take 32 random bytes from a secret store: openssl rand -base64 32.',
    },
    example: {
      level: 'error',
      finding: '{name} is no random text but an example or a pattern, which attackers try first.',
      remedy: 'Take 32 random bytes from a secret store: openssl rand -base64 32.',
    },
    shared: {
      level: 'warning',
      finding:
        '{name} is the same text as {other}: who learns one has both, and they cannot be rotated by themselves.',
      remedy: 'Give each its own 32 random bytes.',
    },
  },
  judge: ({ config }) => {
    const given = secretsOf(config);
    if (given.length === 0) return [{ outcome: 'none' }];
    const found = given.flatMap(([name, secret], index): Verdict<'short' | 'example' | 'shared'>[] => {
      const outcome = weaknessOf(secret);
      if (outcome !== undefined) return [{ outcome, subject: name, values: { name } }];
      const same = given.slice(0, index).find(([, other]) => Buffer.from(other).equals(Buffer.from(secret)));
      return same === undefined
        ? []
        : [{ outcome: 'shared', subject: name, values: { name, other: same[0] } }];
    });
    return found.length > 0
      ? found
      : [{ outcome: 'strong', values: { names: list(given.map(([name]) => name)) } }];
  },
});

function secretsOf({ auth, transport, settings, randomTicketSecret }: RealtimeConfig) {
  const jwt = auth.mode === 'jwt' ? auth.jwt.secret : undefined;
  const csrf = transport.cookie?.csrf?.secret;
  const tickets = randomTicketSecret ? undefined : settings.ticketSecret;
  const all: readonly (readonly [string, string | Buffer | undefined])[] = [
    ['auth.jwt.secret', jwt],
    ['auth.cookie.csrf.secret', csrf],
    ['ticketSecret', tickets],
  ];
  return all.flatMap(([name, secret]) => (secret === undefined ? [] : [[name, secret] as const]));
}

const tickets = check({
  id: 'access.tickets',
  title: 'Tickets',
  asks: 'Do all nodes sign the tickets of sessions with one secret?',
  see: 'deployment.md#tell-the-module-about-the-proxy',
  outcomes: {
    set: { level: 'ok', finding: 'ticketSecret is set. It has to be the same on every node.' },
    single: {
      level: 'advice',
      finding:
        'ticketSecret is random for each process: after a restart clients come back as new ones, without losing events, and wait with the newcomers.',
      remedy: 'Set ticketSecret to 32 random bytes: openssl rand -base64 32.',
    },
    random: {
      level: 'error',
      finding:
        'ticketSecret is random for each process, and {broker} is for several: whoever comes to another node is a new client, and its presence flickers.',
      remedy: 'Set ticketSecret to 32 random bytes, the same on every node.',
    },
  },
  judge: ({ config, broker: { name, capabilities } }) => {
    if (!config.randomTicketSecret) return [{ outcome: 'set' }];
    const outcome = capabilities.durability === 'process' ? 'single' : 'random';
    return [{ outcome, values: { broker: `the broker ${name}` } }];
  },
});

const admin = check({
  id: 'access.admin',
  title: 'Admin API',
  asks: 'Who may end connections and ban users over HTTP?',
  see: 'admin-api.md#mount-it',
  clients: false,
  outcomes: {
    unmounted: { level: 'ok', finding: 'The admin API is not mounted.' },
    guarded: { level: 'ok', finding: 'Behind {guards}; authorityOf and by look at the request.' },
    open: {
      level: 'error',
      finding: 'No guard of the admin API looks at the request ({guards}): anybody is an administrator.',
      remedy: 'Give RealtimeAdminModule the guard that finds out who calls.',
    },
    equal: {
      level: 'warning',
      finding: 'authorityOf takes no request: everybody whom the guards let in may do the same.',
      remedy: 'Return the authority of the caller: authorityOf: (request) => request.user.adminRole.',
    },
    nameless: {
      level: 'warning',
      finding: 'by takes no request: the log and the audit cannot tell who acted.',
      remedy: 'Return who calls: by: (request) => request.user.id.',
    },
  },
  judge: ({ admin: mounted }) => {
    if (mounted === undefined) return [{ outcome: 'unmounted' }];
    const values = { guards: list(mounted.guards) };
    const found: Verdict<'open' | 'equal' | 'nameless'>[] = [];
    if (!mounted.guarded) found.push({ outcome: 'open', values });
    if (!mounted.asksAuthority) found.push({ outcome: 'equal' });
    if (!mounted.namesCaller) found.push({ outcome: 'nameless' });
    return found.length > 0 ? found : [{ outcome: 'guarded', values }];
  },
});

export const ACCESS: readonly Check[] = [connect, tokens, secrets, tickets, admin];
