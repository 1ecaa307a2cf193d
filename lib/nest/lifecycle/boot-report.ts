import type { ChannelDefinition } from '../../core/ports/channel-definition.js';
import type { Broker } from '../../core/ports/broker.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { jwksOf } from '../auth/jwks-authenticator.js';
import { jwtKey } from '../auth/jwt-key.js';
import { namedChannels } from '../options/named-channels.js';
import type { AuthConfig } from '../options/auth-options.js';
import type { RealtimeConfig } from '../options/resolve-options.js';

/** Shortest HMAC secret that RFC 7518 §3.2 allows with HS256, in bytes. */
const LEAST_SECRET_BYTES = 32;

/**
 * Logs at boot one line per channel, and one about authentication, broker and durability. Never a secret
 * (G23).
 */
export function reportBoot(
  config: RealtimeConfig,
  broker: Broker,
  channels: readonly ChannelDefinition[],
  attaches: boolean,
  logger: EngineLogger,
): void {
  for (const { pattern, source } of channels) logger.log(`Mapped {${pattern}} ${source}`);
  if (channels.length === 0) {
    const found = 'No class with @Channel() was found. List channel classes in the providers of a module.';
    // A process that only publishes may have none.
    if (attaches) logger.warn(found);
    else logger.log(found);
  }
  const { capabilities, name } = broker;
  const { path } = config.transport;
  const below = path.replace(/\/$/, '');
  const streams = config.sse ? `plain streams on ${below}/sse` : 'no plain streams';
  const sessions = config.httpSessions
    ? `sessions over HTTP on ${below}/sse, /poll and /send`
    : 'no sessions over HTTP';
  const where = attaches
    ? `on ${path}, ${streams}, ${sessions}, auth ${describeAuth(config)}`
    : 'as publisher only';
  const dedupe = capabilities.dedupes ? '' : ', without dedupe';
  logger.log(`Realtime ${where}, broker ${name}, durability ${capabilities.durability}${dedupe}`);
  if (!attaches) return;
  warnOfSecrets(config.auth, logger);
  warnOfAudiences(config.auth, logger);
  warnOfNames(config, channels, logger);
  if (config.randomTicketSecret && capabilities.durability !== 'process') {
    logger.warn(
      'ticketSecret is not set: a client that reconnects to another node counts as a new one. Set the same secret on every node.',
    );
  }
}

/** One line for each: what matches no channel does nothing. */
function warnOfNames(
  config: RealtimeConfig,
  channels: readonly ChannelDefinition[],
  logger: EngineLogger,
): void {
  for (const { path, text, exists } of namedChannels(config, channels)) {
    if (exists) continue;
    logger.warn(
      `${path} is ${JSON.stringify(text)}, and no @Channel has such a name: it does nothing. Write it as the pattern of a @Channel, or ` +
        'leave it out.',
    );
  }
}

function describeAuth({ auth, settings }: RealtimeConfig): string {
  const others = settings.anonymous && auth.mode !== 'anonymous' ? ' or anonymous' : '';
  switch (auth.mode) {
    case 'jwt':
      if (auth.jwt.jwks !== undefined)
        return `jwt (keys of ${jwksOf(auth.jwt)
          .map(({ issuer }) => issuer)
          .join(', ')})${others}`;
      return `jwt (${jwtKey(auth.jwt).algorithms.join(', ')})${others}`;
    case 'custom': {
      const { authenticator } = auth;
      const { name } = typeof authenticator === 'function' ? authenticator : authenticator.constructor;
      return (name === 'Object' ? 'custom' : name) + others;
    }
    default:
      return auth.mode;
  }
}

function warnOfSecrets(auth: AuthConfig, logger: EngineLogger): void {
  if (auth.mode !== 'jwt' || auth.jwt.secret === undefined) return;
  if (Buffer.byteLength(auth.jwt.secret) >= LEAST_SECRET_BYTES) return;
  logger.warn(
    `auth.jwt.secret is shorter than ${LEAST_SECRET_BYTES} bytes and can be guessed offline (RFC 7518 §3.2). Use a longer one.`,
  );
}

/** An identity provider signs tokens for everybody who asks it to. */
function warnOfAudiences(auth: AuthConfig, logger: EngineLogger): void {
  if (auth.mode !== 'jwt' || auth.jwt.audience !== undefined) return;
  const open = jwksOf(auth.jwt).filter(({ audience }) => audience === undefined);
  if (open.length === 0) return;
  const issuers = open.map(({ issuer }) => issuer).join(', ');
  logger.warn(
    `auth.jwt.jwks has no audience for ${issuers}: tokens that were issued for any other application are accepted. Set it to the ` +
      'identifier of this API.',
  );
}
