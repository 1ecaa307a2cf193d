import { request, type RequestOptions } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { ProxyProcess } from '../../support/proxies/process.js';
import { WireClient, type WireClientOptions } from '../../support/wire/client.js';

/** The documented proxies. */
export const PROXIES = ['nginx', 'haproxy', 'caddy'] as const;

/** Opens a connection through a proxy. Nothing is sent. */
export function open(proxy: ProxyProcess, options: WireClientOptions = {}): Promise<WireClient> {
  return WireClient.open(proxy.url, { ...options, socket: { ...proxy.tls, ...options.socket } });
}

/** Opens a connection through a proxy and greets. */
export async function connect(
  proxy: ProxyProcess,
  user: string,
  options: WireClientOptions = {},
): Promise<WireClient> {
  const client = await open(proxy, options);
  await client.hello(user);
  return client;
}

/** A plain HTTP answer, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Asks through a proxy over HTTP/1.1. */
export function ask(proxy: ProxyProcess, path: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`https://${proxy.authority}${path}`, {
      ...(proxy.tls as RequestOptions),
      agent: false,
      ...options,
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.end();
  });
}
