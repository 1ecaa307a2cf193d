import 'reflect-metadata';
import {
  GATEWAY_METADATA,
  MESSAGE_MAPPING_METADATA,
  MESSAGE_METADATA,
  PORT_METADATA,
} from '@nestjs/websockets/constants.js';

/** Whether a class is a `@WebSocketGateway`. */
export function isGateway(target: object): boolean {
  return Reflect.hasMetadata(GATEWAY_METADATA, target);
}

/** Port of a gateway; 0 shares the application's HTTP server. */
export function gatewayPort(target: object): number {
  return (Reflect.getMetadata(PORT_METADATA, target) as number | undefined) ?? 0;
}

// Key of a hidden handler's message: Nest looks for its own key only.
const HIDDEN_MESSAGE = 'nestjs-realtime:hidden-message';

/** The message of `@SubscribeMessage` on a method, and whether Nest serves it too; `undefined` on any other method. */
export function subscribedMessage(method: object): { message: unknown; hidden: boolean } | undefined {
  if (Reflect.hasMetadata(HIDDEN_MESSAGE, method)) {
    return { message: Reflect.getMetadata(HIDDEN_MESSAGE, method) as unknown, hidden: true };
  }
  if (!Reflect.hasMetadata(MESSAGE_MAPPING_METADATA, method)) return undefined;
  return { message: Reflect.getMetadata(MESSAGE_METADATA, method) as unknown, hidden: false };
}

/**
 * Hides a class's own `@SubscribeMessage` handlers from Nest, so that they exist on its channel only. Inherited ones
 * stay, because the base class may be a gateway too; such a class is a boot error.
 */
export function hideFromGateway(prototype: object): void {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const method: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
    if (typeof method !== 'function') continue;
    const subscribed = subscribedMessage(method);
    if (subscribed === undefined || subscribed.hidden) continue;
    Reflect.defineMetadata(HIDDEN_MESSAGE, subscribed.message, method);
    Reflect.deleteMetadata(MESSAGE_MAPPING_METADATA, method);
  }
}
