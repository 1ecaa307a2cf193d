import type { HelloCommand } from '../../protocol/commands.js';
import { PROTOCOL_VERSION } from '../../protocol/envelope.js';
import { FEATURES } from '../../protocol/features.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { offerSubprotocols } from '../../protocol/subprotocol.js';
import type { ClientSettings } from '../options.js';

/** Characters of an HTTP token (RFC 9110 §5.6.2): a page's WebSocket throws for a subprotocol with any other. */
const HTTP_TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** What an attempt says first: the subprotocols of the upgrade, and `hello`. */
export interface Greeting {
  readonly protocols: readonly string[];
  readonly hello: HelloCommand['payload'];
}

/**
 * @throws RealtimeError `bad_request` for a token that no subprotocol can carry.
 */
export function greetingOf(
  settings: Pick<ClientSettings, 'codec' | 'tokenIn' | 'client'>,
  token: string | undefined,
  ticket: string | undefined,
): Greeting {
  const early = settings.tokenIn === 'subprotocol' ? token : undefined;
  if (early !== undefined && !HTTP_TOKEN.test(early)) {
    throw new RealtimeError(
      'bad_request',
      'The token has characters that no subprotocol may have. Use tokenIn: "hello", or encode it as base64url without "=".',
    );
  }
  // The ticket goes along for admission: in a storm those with one go first (P2, G17). It is no credential.
  const admission = ticket !== undefined && HTTP_TOKEN.test(ticket) ? ticket : undefined;
  return {
    protocols: offerSubprotocols(settings.codec, early, admission),
    hello: {
      versions: [PROTOCOL_VERSION],
      features: FEATURES,
      ...(token === undefined || early !== undefined ? {} : { token }),
      ...(ticket === undefined ? {} : { session: ticket }),
      client: settings.client,
    },
  };
}
