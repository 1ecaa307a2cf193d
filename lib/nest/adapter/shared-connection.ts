import type { ConnectionListener } from '../../core/ports/realtime-connection.js';

/**
 * Marks WebSocket adapters whose gateways ride on realtime connections. A registered symbol, so that this module and
 * the subpath of the adapter need not import each other.
 */
export const RIDING = Symbol.for('nestjs-realtime.riding-adapter.v1');

/** What such an adapter says of itself. */
export interface RidingAdapter {
  readonly [RIDING]: RidingOptions;
}

/** How gateways ride. */
export interface RidingOptions {
  /** Whether clients without a user may reach gateways. */
  readonly anonymous: boolean;
  /** Told of the connections, to keep the gateways' `server.clients`. */
  readonly listener: ConnectionListener;
}

/** The options of an adapter that lets gateways ride, `undefined` for any other. */
export function ridingOptions(adapter: unknown): RidingOptions | undefined {
  return typeof adapter === 'object' && adapter !== null && RIDING in adapter
    ? (adapter as RidingAdapter)[RIDING]
    : undefined;
}
