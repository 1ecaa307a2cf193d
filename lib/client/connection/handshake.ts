import type { HelloCommand } from '../../protocol/commands.js';
import { FEATURES, PROTOCOL_VERSION, type AnnouncedLimits } from '../../protocol/envelope.js';
import type { WelcomePayload } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { offerSubprotocols } from '../../protocol/subprotocol.js';
import { DEFAULT_RETRY } from '../backoff.js';
import type { ClientSettings } from '../options.js';
import { durationOf, recordOf, stringOf } from '../received.js';

/** Characters of an HTTP token (RFC 9110 §5.6.2): a page's WebSocket throws for a subprotocol with any other. */
const HTTP_TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** What an attempt begins with. */
export interface Greeting {
  /** The subprotocols that the upgrade offers. */
  readonly protocols: readonly string[];
  /** The payload of `hello`. */
  readonly hello: HelloCommand['payload'];
}

/**
 * The greeting of one attempt.
 *
 * @param ticket The session ticket of the last `welcome`.
 * @throws RealtimeError `bad_request` for a token that no subprotocol can carry.
 */
export function greetingOf(
  { codec, tokenIn, csrf, client }: Pick<ClientSettings, 'codec' | 'tokenIn' | 'csrf' | 'client'>,
  token: string | undefined,
  ticket: string | undefined,
): Greeting {
  const inSubprotocol = tokenIn === 'subprotocol' ? token : undefined;
  if (inSubprotocol !== undefined && !HTTP_TOKEN.test(inSubprotocol)) {
    throw new RealtimeError(
      'bad_request',
      'The token has characters that no subprotocol may have: use tokenIn: "hello"',
    );
  }
  // The ticket is no credential: with it the server can let clients that come back in before new ones (G17).
  const admission = ticket !== undefined && HTTP_TOKEN.test(ticket) ? ticket : undefined;
  return {
    protocols: offerSubprotocols(codec, inSubprotocol, admission, csrf),
    hello: omitUndefined({
      versions: [PROTOCOL_VERSION],
      features: FEATURES,
      token: inSubprotocol === undefined ? token : undefined,
      session: ticket,
      client,
    }),
  };
}

const DEFAULT_LIMITS: AnnouncedLimits = {
  maxFrameBytes: 256 * 1_024,
  maxMessageBytes: 64 * 1_024,
  maxEnvelopesPerFrame: 256,
  maxChannels: 128,
  ratePerSecond: 50,
  dedupeMs: 120_000,
};
const DEFAULT_HEARTBEAT = { intervalMs: 25_000, timeoutMs: 10_000 };

/** The part of a `welcome` that the client uses: every number is there and usable. */
export interface Welcome extends Omit<WelcomePayload, 'session' | 'features' | 'serverTime'> {
  readonly session?: string;
}

/** Reads the payload of `welcome`. A missing or unusable number becomes its default; unknown fields are ignored (P6). */
export function readWelcome(payload: unknown): Welcome {
  const { version, heartbeat, limits, retry, session, user, tokenExpiresInMs } = recordOf(payload);
  return omitUndefined({
    version: typeof version === 'number' ? version : 1,
    heartbeat: numbersOf(heartbeat, DEFAULT_HEARTBEAT),
    limits: numbersOf(limits, DEFAULT_LIMITS),
    retry: numbersOf(retry, DEFAULT_RETRY),
    session: stringOf(session),
    user: stringOf(user),
    tokenExpiresInMs: durationOf(tokenExpiresInMs),
  });
}

function numbersOf<T extends { readonly [Name in keyof T]: number }>(value: unknown, defaults: T): T {
  const given = recordOf(value);
  const entries = Object.entries<number>(defaults).map(([name, fallback]) => [
    name,
    durationOf(given[name]) ?? fallback,
  ]);
  return Object.fromEntries(entries) as T;
}
