import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import { parseLine, plainJsonCodec } from '../../protocol/codecs/plain-json.js';
import type { Envelope } from '../../protocol/envelope.js';
import { readWelcome, type Welcome } from '../connection/handshake.js';
import { durationOf, recordOf, stringOf } from '../received.js';

/** How the server ended a session: what a WebSocket says with a close frame. */
export interface SessionEnd {
  readonly code: number;
  readonly retryAfterMs: number;
  readonly message: string | undefined;
}

/** The `welcome` of a session over HTTP. */
export interface SessionWelcome extends Welcome {
  /** The id of the session: its only proof, and never in a URL or a log. */
  readonly connection: string | undefined;
}

/**
 * JSON for one session over HTTP. It reads the answers of polls too, which are arrays, and looks at what passes: the `welcome`,
 * the message that ends the session, and which commands wait for their answer.
 */
export class SessionCodec implements Codec {
  readonly name = plainJsonCodec.name;
  readonly subprotocol = plainJsonCodec.subprotocol;
  readonly binary = false;
  readonly separator = plainJsonCodec.separator;

  welcome: SessionWelcome | undefined;
  /** Set by the last message of the session. */
  end: SessionEnd | undefined;
  /** Whether a `bye` came, whose code says why the session ends. */
  saidBye = false;
  /** Commands without an answer. */
  private readonly waiting = new Set<string>();

  /** Whether every command has its answer. */
  get isIdle(): boolean {
    return this.waiting.size === 0;
  }

  encode(envelope: Envelope): Encoded {
    return plainJsonCodec.encode(envelope);
  }

  decode(frame: Encoded): unknown[] {
    // A poll is answered with one array, which may have line ends; a block of a stream has an envelope in each line.
    const values =
      typeof frame === 'string' && /^\s*\[/.test(frame)
        ? (parseLine(frame) as unknown[])
        : plainJsonCodec.decode(frame);
    return values.filter((value) => this.see(recordOf(value)));
  }

  /** A command leaves, as JSON. */
  sent(line: string): void {
    const { type, id } = JSON.parse(line) as Envelope;
    if (id !== undefined && type !== 'bye') this.waiting.add(id);
  }

  /** @returns Whether the client is given the message. */
  private see({ type, ref, payload }: Record<string, unknown>): boolean {
    if (typeof ref === 'string') this.waiting.delete(ref);
    if (type === 'welcome')
      this.welcome ??= {
        ...readWelcome(payload),
        connection: stringOf(recordOf(payload)['connection']),
      };
    this.saidBye ||= type === 'bye';
    if (type !== 'error') return true;
    const { close, retryAfterMs, message } = recordOf(payload);
    if (typeof close !== 'number') return true;
    this.end = {
      code: close,
      retryAfterMs: durationOf(retryAfterMs) ?? 0,
      message: stringOf(message),
    };
    return false;
  }
}
