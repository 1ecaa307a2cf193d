import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { map, type Observable } from 'rxjs';
import { systemEntropy } from '../../core/ports/entropy.js';
import { MAX_EVENT_LENGTH, MAX_ID_LENGTH } from '../../protocol/envelope.js';
import type { ErrorDetail } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import { checkFields, finite, isRecord, text, type Field } from '../../protocol/validation/checks.js';
import { isGatewayMessage, unwrap, type MessageEnvelope } from './gateway-message.js';

const FIELDS: readonly (readonly [string, Field])[] = [
  ['type', { check: text(MAX_EVENT_LENGTH), required: true }],
  ['id', { check: text(MAX_ID_LENGTH), required: true }],
  ['ts', { check: finite, required: true }],
];

/**
 * Gives ordinary gateways the envelope `{ type, id, ts, payload }`. Any other message is refused with a `WsException`
 * (`{ code: 'bad_request', message, details }`). Pipes and handler get only the payload. A reply is sent as
 * `{ type: 'reply', id, ts, ref, payload }`, where `ref` is the `id` of the message and `payload` a wire value (P29), so
 * that `toJSON` and the refusals of channels hold here too.
 *
 * On a channel class it does nothing: the engine checks every envelope before any code of the application runs (P5).
 *
 * @example
 * @UseInterceptors(SequenceInterceptor, EnvelopeInterceptor, DedupeInterceptor)
 * @WebSocketGateway()
 * export class ChatGateway {}
 * @publicApi
 */
@Injectable()
export class EnvelopeInterceptor implements NestInterceptor {
  /**
   * Called by Nest.
   *
   * @throws WsException `bad_request` for a message that is not an envelope; `details` name the fields.
   */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (!isGatewayMessage(context)) return next.handle();
    const envelope = check(context.switchToWs().getData());
    unwrap(context, envelope);
    return next
      .handle()
      .pipe(map((reply: unknown) => (reply === undefined ? undefined : replyTo(envelope, reply))));
  }
}

function check(data: unknown): MessageEnvelope {
  const details: ErrorDetail[] = [];
  if (isRecord(data)) checkFields(data, FIELDS, '', (detail) => details.push(detail));
  else details.push({ path: '', message: 'must be an object' });
  if (details.length > 0) {
    throw new WsException({
      code: 'bad_request',
      message: 'Not an envelope { type, id, ts, payload }',
      details,
    });
  }
  return data as MessageEnvelope;
}

function replyTo({ id }: MessageEnvelope, reply: unknown): object {
  const payload = toWireValue(reply, 'reply');
  return { type: 'reply', id: systemEntropy.id(), ts: Date.now(), ref: id, payload };
}
