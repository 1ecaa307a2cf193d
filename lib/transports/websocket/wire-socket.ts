import type { EventEmitter } from 'node:events';
import { WebSocket } from 'ws';
import { CLOSE_CODES, closeReason, type CloseName } from '../../protocol/close-codes.js';

/** RFC 6455 §7.4.1, as far as ws closes with them on its own account. */
const INVALID_DATA = 1007;
const TOO_MANY_PARTS = 1008;
const TOO_BIG = 1009;
const NO_CODE = 1005;

/**
 * The part of ws's WebSocket that is used here. Declared by ourselves, as is what {@link WsServer} has, because ws brings
 * no types: users of this package would need @types/ws to compile against the real ones.
 */
interface WsSocket extends EventEmitter {
  readonly readyState: number;
  /** What was negotiated, as in the header; empty for nothing. */
  readonly extensions: string;
  close(code?: number, data?: string | Buffer): void;
  terminate(): void;
  /** Whether {@link pause} was called last. */
  readonly isPaused: boolean;
  pause(): void;
  /** Reads on, as soon as what came before is parsed. */
  resume(): void;
}

const WsSocket: new (address: null) => WsSocket = WebSocket;

/** What a {@link WireSocket} notifies its connection of. */
export interface WireSocketEvents {
  onMessage(data: Buffer, isBinary: boolean): void;
  /** As soon as either side begins to close. */
  onClosing(): void;
  onClosed(): void;
}

/**
 * ws's WebSocket with the close codes of protocol §7. ws closes by itself when a frame breaks a rule; a client
 * that came back after 1009 would send the same frame again, so what it must not repeat goes out with a code that
 * tells it to stop (P4, P6). Violations of RFC 6455 itself keep its 1002.
 */
export class WireSocket extends WsSocket {
  /** The code of the first close frame in either direction; 1005 for one without a code (RFC 6455 §7.1.5). */
  wireCode: number | undefined;
  /** Set before ws can emit anything. */
  owner: WireSocketEvents | undefined;

  /**
   * Events go straight to the owner: five listeners and their table would be a tenth of what an idle
   * connection costs, and a detour for every message.
   */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { owner } = this;
    if (owner === undefined) return super.emit(event, ...args);
    switch (event) {
      case 'message':
        // A Buffer, as the binary type is ws's default.
        owner.onMessage(args[0] as Buffer, args[1] as boolean);
        return true;
      case 'ping':
      case 'pong':
        // Counted before they were parsed.
        return true;
      case 'close':
        owner.onClosed();
        return true;
      case 'error':
        // ws closes by itself, and 'close' follows. Without a listener the error would end the process.
        return true;
      default:
        return super.emit(event, ...args);
    }
  }

  override close(code?: number, data?: string | Buffer): void {
    if (this.readyState !== WebSocket.OPEN) {
      super.close(code, data);
      return;
    }
    // ws gives a reason (an empty one included) when it echoes the client's close, and none when it found an error.
    const name = data === undefined ? translate(code) : undefined;
    if (name === undefined) super.close(code, data);
    else super.close(CLOSE_CODES[name].code, closeReason(name));
    this.wireCode = name === undefined ? (code ?? NO_CODE) : CLOSE_CODES[name].code;
    this.owner?.onClosing();
  }
}

function translate(code: number | undefined): CloseName | undefined {
  switch (code) {
    case TOO_BIG:
      return 'message_too_large';
    // A message that is not UTF-8, or does not inflate, "cannot be parsed at all" (P6); too many fragments are
    // above a limit (P4).
    case INVALID_DATA:
    case TOO_MANY_PARTS:
      return 'protocol_error';
    default:
      return undefined;
  }
}
