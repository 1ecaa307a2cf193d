import type { IncomingMessage } from 'node:http';
import type { SessionSender } from '../http/handshake-policy.js';
import type { SessionExchange } from './exchange.js';
import type { WhenGone } from './poll-carrier.js';
import type { SessionRequest } from './requests.js';

/** What a request of a session says of itself. @param name the header with its number. */
export function requestOf(
  { headers }: IncomingMessage,
  name: 'realtime-send' | 'realtime-ack',
  { network }: SessionSender,
): SessionRequest {
  const { 'realtime-session': session = '', [name]: number = '', origin } = headers;
  return {
    session: String(session),
    number: /^\d{1,15}$/.test(String(number)) ? Number(number) : Number.NaN,
    origin,
    network,
  };
}

/** Bytes of a body; `NaN` where its end will tell. */
export function lengthOf({ headers }: IncomingMessage): number {
  return 'transfer-encoding' in headers ? Number.NaN : Number(headers['content-length'] ?? Number.NaN);
}

/** Calls back when the client of a request is gone. */
export function goneFrom({ res }: SessionExchange): WhenGone {
  return (callback) => {
    if (res.destroyed) callback();
    else res.on('close', callback);
  };
}
