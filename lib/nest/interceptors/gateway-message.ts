import type { ExecutionContext } from '@nestjs/common';
import { isRecord } from '../../protocol/validation/checks.js';
import { RealtimeContext } from '../decorators/realtime-context.js';

/** The envelope of every message of an application that uses `EnvelopeInterceptor`. */
export interface MessageEnvelope {
  readonly type: string;
  /** Chosen by the sender, unique. */
  readonly id: string;
  /** The sender's clock, in milliseconds. */
  readonly ts: number;
  readonly payload: unknown;
}

// By the arguments of the call, which all interceptors of one message share.
const envelopes = new WeakMap<object, MessageEnvelope>();

/** Whether a call is a message of another gateway; on channels the engine does what these interceptors do. */
export function isGatewayMessage(context: ExecutionContext): boolean {
  return context.getType() === 'ws' && RealtimeContext.from(context) === undefined;
}

/** The connection of a message, whatever the adapter. */
export function clientOf(context: ExecutionContext): object {
  return context.switchToWs().getClient<object>();
}

/** Gives pipes and handler the payload of an envelope, and stores the envelope for the next interceptors. */
export function unwrap(context: ExecutionContext, envelope: MessageEnvelope): void {
  const args: unknown[] = context.getArgs();
  envelopes.set(args, envelope);
  args[1] = envelope.payload;
}

/** The id of a message: of its envelope, or of the data itself; `undefined` when it has none. */
export function messageIdOf(context: ExecutionContext): string | undefined {
  const envelope = envelopes.get(context.getArgs());
  if (envelope !== undefined) return envelope.id;
  const data: unknown = context.switchToWs().getData();
  const id = isRecord(data) && Object.hasOwn(data, 'id') ? data.id : undefined;
  return typeof id === 'string' && id !== '' ? id : undefined;
}
