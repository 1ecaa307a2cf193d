import { decodeMulti, encode } from '@msgpack/msgpack';
import type { IncomingHttpHeaders } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { WebSocket, type RawData } from 'ws';
import {
  SessionClient,
  type SentEnvelope,
  type SessionClientOptions,
  type WireClose,
  type WireEnvelope,
} from './session-client.js';

export type { EnvelopePart, WireClose, WireEnvelope } from './session-client.js';

/** What {@link WireClient.open} can be told. */
export interface WireClientOptions extends SessionClientOptions {
  /** Subprotocols to offer. Default: `realtime.v1.json`; an empty list offers none. */
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Added to the address, e.g. `?token=…`. */
  readonly query?: string;
  readonly compression?: boolean;
  /** More for the socket: certificates, a local address. */
  readonly socket?: Pick<ConnectionOptions, 'ca' | 'lookup' | 'servername'> & {
    readonly localAddress?: string;
  };
}

/** The HTTP answer to an upgrade that was refused. */
export class UpgradeRefused extends Error {
  override readonly name = 'UpgradeRefused';

  constructor(
    readonly status: number,
    readonly headers: IncomingHttpHeaders,
    readonly body: string,
  ) {
    super(`The upgrade was refused with ${status}: ${body}`);
  }
}

/**
 * A client that is nothing but a socket: it shares no code with the library's own client, so that a test sees what is on
 * the wire. Batched frames are taken apart.
 *
 * @example
 * const client = await WireClient.open(server.url);
 * await client.hello('alice');
 * client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1', payload: {} });
 * expect((await client.next('reply')).payload['recovery']).toBe('new');
 */
export class WireClient extends SessionClient {
  /** Frames that came. */
  frames = 0;

  private constructor(
    readonly socket: WebSocket,
    options: WireClientOptions,
  ) {
    super(options);
    socket.on('message', (data, isBinary) => this.onMessage(data, isBinary));
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => this.end({ code, reason: reason.toString() }));
  }

  /** Opens a connection; nothing is sent. @throws UpgradeRefused */
  static open(url: string, options: WireClientOptions = {}): Promise<WireClient> {
    const { protocols = ['realtime.v1.json'], headers = {}, query = '', compression = false } = options;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url}${query}`, [...protocols], {
        ...options.socket,
        headers: { ...headers },
        perMessageDeflate: compression,
      });
      const client = new WireClient(socket, options);
      socket.on('open', () => resolve(client));
      socket.on('error', reject);
      socket.on('unexpected-response', (request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          reject(
            new UpgradeRefused(response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString()),
          );
          request.destroy();
        });
      });
    });
  }

  /** The refusal of an upgrade. @throws Error when it succeeds. */
  static async refused(url: string, options: WireClientOptions = {}): Promise<UpgradeRefused> {
    let client: WireClient;
    try {
      client = await WireClient.open(url, options);
    } catch (error) {
      if (error instanceof UpgradeRefused) return error;
      throw error;
    }
    client.terminate();
    throw new Error('The upgrade succeeded, although it should have been refused');
  }

  /** The subprotocol that the server echoed; empty when none. */
  get protocol(): string {
    return this.socket.protocol;
  }

  /** Sends one envelope in the connection's codec, or a frame as it is. */
  override send(envelope: SentEnvelope | string | Uint8Array): void {
    if (typeof envelope === 'string' || envelope instanceof Uint8Array) this.socket.send(envelope);
    else this.sendAll([envelope]);
  }

  override sendAll(envelopes: readonly SentEnvelope[]): void {
    if (this.isBinary) this.socket.send(Buffer.concat(envelopes.map((envelope) => encode(envelope))));
    else this.socket.send(envelopes.map((envelope) => JSON.stringify(envelope)).join('\n'));
  }

  /** Closes with a closing handshake. */
  async close(code = 1000, reason = ''): Promise<WireClose> {
    this.socket.close(code, reason);
    return await this.expectClose();
  }

  /** Cuts the connection: no close frame, as when a network goes away. */
  override terminate(): void {
    this.socket.terminate();
  }

  /** Stops reading from the socket: a slow client. */
  override stopReading(): void {
    this.socket.pause();
  }

  override goOnReading(): void {
    this.socket.resume();
  }

  private get isBinary(): boolean {
    return this.socket.protocol === 'realtime.v1.msgpack';
  }

  private onMessage(data: RawData, isBinary: boolean): void {
    this.frames++;
    for (const envelope of decodeFrame(data as Buffer, isBinary)) this.accept(envelope);
    this.wake();
  }
}

function decodeFrame(data: Buffer, isBinary: boolean): WireEnvelope[] {
  if (isBinary) return [...decodeMulti(data)] as WireEnvelope[];
  return data
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WireEnvelope);
}
