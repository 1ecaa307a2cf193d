import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { isPromise } from '../../core/ports/maybe-promise.js';
import { LEAVING, type Opening, type Refusal, type TransportHost } from '../../core/ports/transport-host.js';
import type { Transport, UpgradeHandler } from '../../core/ports/transport.js';
import type { WireVariant } from '../../core/ports/connection.js';
import type { Codec } from '../../protocol/codecs/codec.js';
import type { Peer } from '../http/client-address.js';
import { deflatingFrame, takesSharedFrames } from './compression.js';
import { DirectWriter } from '../http/direct-writer.js';
import { InboundMeter } from './inbound-meter.js';
import { EntryCheck } from '../http/entry-check.js';
import { frameBinary, frameOne, frameText } from './frame.js';
import {
  HandshakePolicy,
  isRefusal,
  refused,
  type AcceptedUpgrade,
  type Purpose,
} from '../http/handshake-policy.js';
import { Outgoing } from '../http/outgoing.js';
import { bytesOf, Reception } from '../http/reception.js';
import { TRY_LATER, writeRefusal } from '../http/refusal.js';
import { UpgradeRouter } from '../http/upgrade-router.js';
import { WebSocketConnection, type ConnectionSettings } from './connection.js';
import {
  resolveWebSocketOptions,
  type WebSocketSettings,
  type WebSocketTransportOptions,
} from './options.js';
import type { WireSocket } from './wire-socket.js';
import { createWsServer, type WsServer } from './ws-server.js';

/** The variants of a codec. */
interface Variants {
  readonly plain: WireVariant;
  readonly deflated: WireVariant;
}

/**
 * The WebSocket edge: takes upgrades of one path, refuses what must not come in with plain HTTP (P18), and hands
 * the rest to the engine.
 *
 * @example
 * const transport = new WebSocketTransport(engine.host, { allowedOrigins: 'https://app.example.com' });
 * transport.attach(app.getHttpServer());
 */
export class WebSocketTransport implements Transport {
  readonly name = 'websocket';
  private readonly settings: WebSocketSettings;
  private readonly connections: ConnectionSettings;
  private readonly reception: Reception;
  private readonly policy: HandshakePolicy;
  private readonly check: EntryCheck;
  private readonly wss: WsServer;
  private readonly variants: ReadonlyMap<Codec, Variants>;
  private readonly releases: (() => void)[] = [];
  private closed = false;
  private hasLostUpgrade = false;

  /** @throws TypeError or RangeError naming the option that is wrong, and the remedy. */
  constructor(
    private readonly host: TransportHost,
    options: WebSocketTransportOptions = {},
  ) {
    this.settings = resolveWebSocketOptions(options);
    this.reception = new Reception(host, this.settings, options.trustProxy !== undefined);
    this.connections = {
      ...this.settings,
      writer: new DirectWriter(),
      meter: new InboundMeter(host.frames, this.settings.clock),
      unfinished: host.unfinished,
      outgoing: new Outgoing(),
    };
    this.policy = new HandshakePolicy(host, this.settings);
    this.check = new EntryCheck(host, this.settings);
    this.variants = new Map(this.settings.codecs.map((codec) => [codec, variantsOf(codec, this.settings)]));
    this.wss = createWsServer(host.maxFrameBytes, this.settings);
    // What ws refuses, e.g. a malformed extension offer, is answered like everything else.
    this.wss.on('wsClientError', (error, socket, req) =>
      this.refuse(req, socket, { status: 400, message: error.message }),
    );
  }

  /** Path of the endpoint. */
  get path(): string {
    return this.settings.path;
  }

  get attached(): boolean {
    return this.releases.length > 0;
  }

  attach(server: Server): void {
    if (this.closed) throw new Error('This transport is closed. Create a new one.');
    const release = UpgradeRouter.of(server, this.settings.clock).claim(this.path, this.onUpgrade);
    this.releases.push(release);
  }

  /**
   * Answers a client's `GET {path}` as an upgrade of the same client would be answered, for browsers that see every
   * refusal as 1006 (P18): the refusal, or 426 when an upgrade would succeed. The token may come as
   * `Authorization: Bearer`. Send it with `refusalHeaders` and `refusalBody`. Where an upgrade waits for its turn, a probe
   * is refused.
   */
  async probe(req: IncomingMessage): Promise<Refusal> {
    this.lookForLostUpgrade(req);
    const judgement = this.judge(req, req.socket, 'probe');
    if (isRefusal(judgement)) return judgement;
    const opening = await this.check.run(judgement, {
      socket: req.socket,
      bytes: bytesOf(req),
      purpose: 'probe',
    });
    return isRefusal(opening) ? opening : { status: 426, message: 'Open a WebSocket here' };
  }

  /** Warns once of a proxy that makes plain requests of upgrades, as nginx does by default: no WebSocket is ever opened then. */
  private lookForLostUpgrade({ headers }: IncomingMessage): void {
    // Of one that is closed, Node makes requests of upgrades.
    if (this.closed || this.hasLostUpgrade || headers['sec-websocket-key'] === undefined) return;
    this.hasLostUpgrade = true;
    this.settings.onWarning(
      'A request came with Sec-WebSocket-Key and without Upgrade: a proxy in front of this server drops it, so that no WebSocket can ' +
        'be opened. Let the proxy speak HTTP/1.1 to this server, and pass Upgrade and Connection on (docs/deployment.md)',
    );
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const release of this.releases.splice(0)) release();
    this.check.close();
    this.wss.close();
  }

  whenLeft(): Promise<void> {
    return this.connections.outgoing.whenLeft();
  }

  cut(): number {
    return this.connections.outgoing.cut();
  }

  private readonly onUpgrade: UpgradeHandler = (req, socket, head) =>
    this.guard(socket, () => {
      const judgement = this.judge(req, socket as Peer, 'upgrade');
      if (isRefusal(judgement)) {
        this.refuse(req, socket, judgement);
        return;
      }
      const settle = (opening: Opening | Refusal): void => {
        // The client may have disconnected while it waited or was verified.
        if (socket.destroyed) return;
        if (isRefusal(opening)) this.refuse(req, socket, opening);
        else this.open(judgement, opening, req, socket, head);
      };
      const bytes = bytesOf(req) + head.length;
      const opening = this.check.run(judgement, { socket, bytes, purpose: 'upgrade' });
      // Frames that the client sends before it is verified wait, bounded, in the paused socket.
      if (isPromise(opening)) void opening.then((later) => this.guard(socket, () => settle(later)));
      else settle(opening);
    });

  /** What an upgrade throws would leave the event of the HTTP server, or its promise, and end the process. */
  private guard(socket: Duplex, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.settings.onError(error);
      writeRefusal(socket, TRY_LATER, this.settings.clock);
    }
  }

  private judge(
    req: IncomingMessage,
    socket: Peer,
    purpose: Exclude<Purpose, 'stream'>,
  ): Refusal | AcceptedUpgrade {
    if (this.closed) return LEAVING;
    return this.reception.judge(req, socket, (address) => {
      const refusal = purpose === 'upgrade' ? judgeProtocol(req) : undefined;
      return refusal ?? this.policy.judge(req, address, purpose);
    });
  }

  private refuse(req: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    this.reception.refused(req, socket as Peer, refusal);
    writeRefusal(socket, refusal, this.settings.clock);
  }

  private open(
    admission: AcceptedUpgrade,
    opening: Opening,
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): void {
    if (this.closed) return this.refuse(req, socket, LEAVING);
    try {
      this.wss.handleUpgrade(req, socket, head, (ws) => this.connect(admission, opening, ws, socket));
    } catch (error) {
      this.settings.onError(error);
      socket.destroy();
    }
  }

  private connect(
    { handshake, codec }: AcceptedUpgrade,
    opening: Opening,
    ws: WireSocket,
    socket: Duplex,
  ): void {
    const variants = this.variants.get(codec) as Variants;
    const deflate = ws.extensions !== '' && takesSharedFrames(handshake.headers['sec-websocket-extensions']);
    const variant = deflate ? variants.deflated : variants.plain;
    const connection = new WebSocketConnection(socket, variant, ws, handshake, this.connections);
    try {
      connection.start(this.host.open(connection, opening));
    } catch (error) {
      connection.fail(error);
    }
  }
}

/**
 * What makes a request an upgrade to WebSocket (RFC 6455 §4.2.1); ws checks the same, but later and less
 * precisely.
 */
function judgeProtocol({ method, headers, httpVersion }: IncomingMessage): Refusal | undefined {
  if (httpVersion !== '1.1') return refused(400, 'An upgrade needs HTTP/1.1');
  // What follows the head would be the body to a proxy, and frames to this server.
  if (Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined)
    return refused(400, 'An upgrade has no body');
  if (method !== 'GET') return refused(400, 'A WebSocket is opened with GET');
  // More headers than Node keeps may have hidden this one (CVE-2024-37890), and `h2c` comes here too.
  if (headers.upgrade?.toLowerCase() !== 'websocket') return refused(426, 'This is a WebSocket endpoint');
  // ws also takes version 8, whose clients put their origin into another header, past every check of `Origin`.
  if (headers['sec-websocket-version'] !== '13') return refused(426, 'WebSocket version 13 is needed');
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    return refused(400, 'Sec-WebSocket-Key is missing or malformed');
  }
  return undefined;
}

function variantsOf(codec: Codec, { compression }: WebSocketSettings): Variants {
  const { binary, separator } = codec;
  const frame: WireVariant['frame'] = binary
    ? (envelopes) => frameBinary(envelopes, separator)
    : (envelopes) => frameText(envelopes, separator);
  const plain: WireVariant = { codec, frame, frameOne: (encoded) => frameOne(binary, encoded) };
  if (compression === undefined) return { plain, deflated: plain };
  const deflating = deflatingFrame(binary, separator, frame, compression);
  return { plain, deflated: { codec, frame: deflating, frameOne: undefined } };
}
