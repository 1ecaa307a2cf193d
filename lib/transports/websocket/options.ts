import type { Codec } from '../../protocol/codecs/codec.js';
import { jsonCodec } from '../../protocol/codecs/json.js';
import { msgpackCodec } from '../../protocol/codecs/msgpack.js';
import {
  ENTRY_DEFAULTS,
  resolveEntryOptions,
  type EntryOptions,
  type EntrySettings,
} from '../http/entry-options.js';
import type { HandshakeRules } from '../http/handshake-policy.js';

/**
 * permessage-deflate (RFC 7692). Outbound, a frame is compressed once for all subscribers of a variant, on the
 * event loop: worth it for large events with many subscribers, a cost for answers to one client. Secrets beside
 * text that a client chooses do not belong into compressed frames (CRIME, BREACH).
 */
export interface CompressionOptions {
  /** Frames with a smaller payload, in bytes, are sent as they are. Default 1024. */
  readonly threshold?: number;
  /** zlib level, 1 (fast) to 9 (small). Default 3. */
  readonly level?: number;
  /** Client frames of the whole process that are inflated at the same time. Default 10. */
  readonly concurrency?: number;
}

/** How clients reach the server over WebSocket. */
export interface WebSocketTransportOptions extends EntryOptions {
  /**
   * Codecs of the server; the first is used for clients that offer no subprotocol (P1). Default JSON, then
   * MessagePack.
   */
  readonly codecs?: readonly Codec[];
  /** permessage-deflate. Default `false` (G24). */
  readonly compression?: false | CompressionOptions;
}

/** What holds where an option is left out. */
export const WEBSOCKET_DEFAULTS = {
  ...ENTRY_DEFAULTS,
  codecs: [jsonCodec, msgpackCodec],
  compression: { threshold: 1_024, level: 3, concurrency: 10 },
} satisfies WebSocketTransportOptions;

/** The options, checked, with defaults and compiled rules. */
export interface WebSocketSettings extends EntrySettings, HandshakeRules {
  readonly compression: Required<CompressionOptions> | undefined;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveWebSocketOptions(options: WebSocketTransportOptions): WebSocketSettings {
  const { compression = false } = options;
  return {
    ...resolveEntryOptions(options),
    codecs: checkCodecs(options.codecs ?? WEBSOCKET_DEFAULTS.codecs),
    compression: compression === false ? undefined : checkCompression(compression),
  };
}

/**
 * The options of compression, with defaults.
 *
 * @throws RangeError naming the option.
 */
export function checkCompression(options: CompressionOptions): Required<CompressionOptions> {
  const d = WEBSOCKET_DEFAULTS.compression;
  const { threshold = d.threshold, level = d.level, concurrency = d.concurrency } = options;
  const settings = { threshold, level, concurrency };
  const check = (name: keyof CompressionOptions, min: number, max: number): void => {
    const value = settings[name];
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new RangeError(`compression.${name}: ${value} is not an integer from ${min} to ${max}`);
  };
  check('threshold', 0, 2 ** 31 - 1);
  check('level', 1, 9);
  check('concurrency', 1, 1_024);
  return settings;
}

function checkCodecs(codecs: readonly Codec[]): readonly [Codec, ...Codec[]] {
  const [first, ...others] = codecs;
  if (first === undefined)
    throw new TypeError('codecs: the list is empty. Give at least one codec, e.g. [jsonCodec].');
  if (new Set(codecs.map((codec) => codec.subprotocol)).size < codecs.length) {
    throw new TypeError(
      'codecs: two codecs have the same subprotocol, so a client could not choose. Leave one of them out.',
    );
  }
  return [first, ...others];
}
