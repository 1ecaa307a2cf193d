import { RealtimeError } from '../../protocol/realtime-error.js';

/** Most bytes of one message between nodes. */
export const MAX_NODE_MESSAGE_BYTES = 8 * 1024 * 1024;

/** A message from one node to another. */
export interface NodeMessage {
  /** What it is about. */
  readonly topic: string;
  readonly bytes: Uint8Array;
}

/** @throws RealtimeError `message_too_large` for more than a broker carries from node to node in one message. */
export function assertNodeMessage({ bytes }: NodeMessage): void {
  if (bytes.byteLength <= MAX_NODE_MESSAGE_BYTES) return;
  throw new RealtimeError(
    'message_too_large',
    `A message between nodes has at most ${MAX_NODE_MESSAGE_BYTES} bytes, not ${bytes.byteLength}`,
  );
}
