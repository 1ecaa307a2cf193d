import type { Socket } from 'node:net';
import type { WebSocketTransportOptions } from '../../../../lib/transports/websocket/options.js';
import { FakeHost, type FakeSession } from './fake-host.js';
import { RawClient, type HeaderLines } from './raw-client.js';
import { serve } from './test-server.js';

export const MSGPACK = { 'Sec-WebSocket-Protocol': 'realtime.v1.msgpack' };

/** A raw client and what the engine holds of it. */
export async function pair(
  options: WebSocketTransportOptions & { host?: FakeHost; headers?: HeaderLines } = {},
) {
  const { host = new FakeHost(), headers, ...rest } = options;
  const context = await serve(rest, host);
  const accepted = new Promise<Socket>((resolve) => context.server.once('connection', resolve));
  const client = await RawClient.open(context.port, '/realtime', headers);
  return { ...context, client, session: await host.next(), serverSocket: await accepted };
}

export const closed = (session: FakeSession): Promise<void> =>
  session.until(({ closes }) => closes.length > 0);

export const received = (session: FakeSession, count: number): Promise<void> =>
  session.until(({ frames }) => frames.length >= count);

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
