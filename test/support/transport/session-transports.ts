import { UpgradeRefused, WireClient } from '../wire/client.js';
import type { HttpReply } from '../wire/http-post.js';
import {
  PollSessionClient,
  SseSessionClient,
  type HttpPlace,
  type HttpSessionOptions,
} from '../wire/http-session-client.js';
import type { SessionClient } from '../wire/session-client.js';

/** What carries a session, and how a test gets one. */
export interface SessionTransport {
  readonly name: 'WebSocket' | 'SSE' | 'long-poll';
  /** A client that has said nothing. */
  open(place: HttpPlace, options?: HttpSessionOptions): Promise<SessionClient>;
  /** The HTTP answer to a client that gets no session. @throws Error when it gets one. */
  refused(place: HttpPlace, options?: HttpSessionOptions): Promise<HttpReply>;
}

export const WEBSOCKET: SessionTransport = {
  name: 'WebSocket',
  open({ url, tls }, options = {}) {
    // What a page can set on an upgrade (P2).
    const { Authorization: credential, ...headers } = options.headers ?? {};
    const bearer = credential === undefined ? [] : [credential.replace('Bearer ', 'bearer.')];
    return WireClient.open(url.replace(/^http/, 'ws'), {
      ...options,
      headers,
      protocols: ['realtime.v1.json', ...bearer],
      ...(tls === undefined ? {} : { socket: tls }),
    });
  },
  async refused(place, options) {
    try {
      (await WEBSOCKET.open(place, options)).terminate();
    } catch (error) {
      if (error instanceof UpgradeRefused) return error;
      throw error;
    }
    throw new Error('The upgrade succeeded, although it should have been refused');
  },
};

function overHttp(
  name: SessionTransport['name'],
  Client: typeof SseSessionClient | typeof PollSessionClient,
) {
  const transport: SessionTransport = {
    name,
    open: async (place, options) => new Client(place, options),
    async refused(place, options) {
      const client = new Client(place, options);
      client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
      const opened = client.next('welcome').then(() => client.terminate());
      await Promise.allSettled([opened]);
      if (client.refusal === undefined) throw new Error(`${name} was not refused: ${client.ended?.code}`);
      return client.refusal;
    },
  };
  return transport;
}

export const SSE = overHttp('SSE', SseSessionClient);
export const LONG_POLL = overHttp('long-poll', PollSessionClient);

export const SESSION_TRANSPORTS: readonly SessionTransport[] = [WEBSOCKET, SSE, LONG_POLL];
