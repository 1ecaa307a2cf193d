import {
  request,
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { request as requestSecurely } from 'node:https';
import type { ConnectionOptions } from 'node:tls';

/** How an `https:` address is found and trusted. */
export type Trust = Pick<ConnectionOptions, 'ca' | 'lookup' | 'servername'>;

/** A POST as a test writes it. */
export interface PostOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly method?: string;
  /** Default: a connection of its own. */
  readonly agent?: Agent;
  readonly tls?: Trust | undefined;
  /** Bytes of the body after which the client goes away, although it announced all of them. */
  readonly cutAfter?: number;
  /** Bytes of the body after which the client stands still, until {@link Post.finish}. */
  readonly sends?: number;
}

/** A whole answer. */
export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request that is under way. */
export interface Post {
  readonly request: ClientRequest;
  /** Its head has come. Rejects where the connection ends before. */
  readonly response: Promise<IncomingMessage>;
  /** Sends the rest of the body. */
  finish(): void;
  /** Goes away. */
  cancel(): void;
}

/** Sends a request with `Content-Type: application/json`, unless the headers say otherwise. */
export function beginPost(url: string, options: PostOptions = {}): Post {
  const { headers = {}, body, method = 'POST', agent, tls, cutAfter, sends } = options;
  const bytes = Buffer.from(body ?? '');
  const ask = url.startsWith('https:') ? requestSecurely : request;
  const sent = ask(url, {
    method,
    agent: agent ?? false,
    ...tls,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      'Content-Length': String(bytes.length),
      ...headers,
    },
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.on('close', () => reject(new Error('The connection ended without an answer')));
  });
  // It is looked at by whoever wants the answer.
  response.catch(() => undefined);
  if (sends !== undefined) sent.write(bytes.subarray(0, sends));
  else if (cutAfter === undefined) sent.end(bytes);
  else sent.write(bytes.subarray(0, cutAfter), () => sent.destroy());
  return {
    request: sent,
    response,
    finish: () => void sent.end(bytes.subarray(sends)),
    cancel: () => void sent.destroy(),
  };
}

/** Reads a whole answer. @throws Error where it is cut. */
export async function readReply(response: IncomingMessage): Promise<HttpReply> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
  };
}

/** Sends a request and waits for the whole answer. */
export async function post(url: string, options: PostOptions = {}): Promise<HttpReply> {
  return await readReply(await beginPost(url, options).response);
}
