import {
  Injectable,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { EMPTY, tap, type Observable } from 'rxjs';
import { systemClock, type Clock } from '../../core/ports/clock.js';
import { durationMs, type Duration } from '../options/duration.js';
import { clientOf, isGatewayMessage, messageIdOf } from './gateway-message.js';

/** Bounds of the memory of {@link DedupeInterceptor}. */
export interface DedupeInterceptorOptions {
  /** How long an id is remembered. Default `'5m'`. */
  readonly window?: Duration;
  /** How many ids of one connection are remembered; beyond it the oldest is forgotten. Default 1000. */
  readonly max?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Drops messages of ordinary gateways that repeat the `id` of an earlier one of the same connection, without a reply. The
 * id of a message that failed is forgotten, so the client can retry. A message without an `id` passes.
 *
 * It knows only one connection of one process. On a channel class it does nothing: there the broker dedupes, across
 * connections and nodes (G4).
 *
 * @example @UseInterceptors(new DedupeInterceptor({ window: '1m' }))
 * @publicApi
 */
@Injectable()
export class DedupeInterceptor implements NestInterceptor {
  private readonly clients = new WeakMap<object, Map<string, number>>();
  private readonly windowMs: number;
  private readonly max: number;
  private readonly clock: Clock;

  /** @throws RangeError when the window is not a duration. */
  constructor(
    @Optional() { window = '5m', max = 1_000, clock = systemClock }: DedupeInterceptorOptions = {},
  ) {
    this.windowMs = durationMs(window, 'DedupeInterceptor: window');
    this.max = max;
    this.clock = clock;
  }

  /** Called by Nest. Completes without a value for a message that is dropped. */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const id = isGatewayMessage(context) ? messageIdOf(context) : undefined;
    if (id === undefined) return next.handle();
    const seen = this.seenOf(clientOf(context));
    if (seen.has(id)) return EMPTY;
    seen.set(id, this.clock.monotonic() + this.windowMs);
    return next.handle().pipe(tap({ error: () => seen.delete(id) }));
  }

  private seenOf(client: object): Map<string, number> {
    let seen = this.clients.get(client);
    if (seen === undefined) this.clients.set(client, (seen = new Map<string, number>()));
    const now = this.clock.monotonic();
    // A map iterates in the order of insertion, and the window is the same for all ids: the oldest comes first.
    for (const [id, until] of seen) {
      if (until > now && seen.size < this.max) break;
      seen.delete(id);
    }
    return seen;
  }
}
