import type { Codec, Encoded } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import {
  ACCEPTED,
  type Connection,
  type ConnectionHandler,
  type FrameVerdict,
  type Handshake,
  type WireVariant,
} from '../../../lib/core/ports/connection.js';
import { handshakeOf } from './handshake.js';

/** Envelopes with the codec's separator, without a frame around them. */
export function createPlainVariant(codec: Codec = jsonCodec): WireVariant {
  const separator = codec.separator === undefined ? [] : [Buffer.from([codec.separator])];
  // Ended by the separator, so that frames that are written together can be told apart again.
  return {
    codec,
    frame: (envelopes) => Buffer.concat(envelopes.flatMap((bytes) => [bytes, ...separator])),
  };
}

/** A connection in memory, whose socket can be made to hold bytes back. */
export class FakeConnection implements Connection {
  readonly handshake: Handshake;
  /** Every envelope that left, in order. */
  readonly received: Envelope[] = [];
  /** Frames that left, as the socket saw them: to count writes and compare buffers. */
  readonly frames: Buffer[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  paused = false;
  /** Nobody, while the engine opens it: it may refuse at once. */
  handler: ConnectionHandler = {
    client: 'nobody',
    onFrame: () => ACCEPTED,
    positions: () => new Map(),
    onExcess: () => undefined,
    onPart: () => undefined,
    onMuch: () => false,
    onRepeat: () => 0,
    onDrain: () => undefined,
    onClose: () => undefined,
  };
  private stalled = false;
  private held: Buffer[] = [];
  private read = 0;

  constructor(
    readonly variant: WireVariant,
    handshake: Partial<Handshake> = {},
    readonly oneWay = false,
  ) {
    this.handshake = handshakeOf(handshake);
  }

  get bufferedBytes(): number {
    return this.held.reduce((sum, frame) => sum + frame.length, 0);
  }

  write(frame: Buffer): boolean {
    if (this.closed !== undefined) return true;
    this.frames.push(frame);
    if (this.stalled) {
      this.held.push(frame);
      return false;
    }
    this.deliver(frame);
    return true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(code: number, reason: string): void {
    if (this.closed !== undefined) return;
    this.closed = { code, reason };
    this.handler.onClose(code);
  }

  terminate(): void {
    this.drop();
  }

  /** The client stops reading. */
  stall(): void {
    this.stalled = true;
  }

  /** The client reads again: everything held arrives. */
  drain(): void {
    this.stalled = false;
    const held = this.held;
    this.held = [];
    for (const frame of held) this.deliver(frame);
    this.handler.onDrain();
  }

  /** The network is gone. */
  drop(): void {
    if (this.closed !== undefined) return;
    this.closed = { code: 1006, reason: '' };
    this.handler.onClose(1006);
  }

  /** @returns what the engine says of the frame. */
  send(...envelopes: readonly object[]): FrameVerdict {
    return this.sendRaw(envelopes.map((envelope) => JSON.stringify(envelope)).join('\n'));
  }

  sendRaw(frame: Encoded): FrameVerdict {
    return this.handler.onFrame(frame);
  }

  /** Envelopes since the last call. */
  take(type?: string): Envelope[] {
    const fresh = this.received.slice(this.read);
    this.read = this.received.length;
    return type === undefined ? fresh : fresh.filter((envelope) => envelope.type === type);
  }

  private deliver(frame: Buffer): void {
    const values = this.variant.codec.decode(this.variant.codec.binary ? frame : frame.toString());
    this.received.push(...(values as Envelope[]));
  }
}
