import {
  Injectable,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { map, Observable } from 'rxjs';
import { isRecord } from '../../protocol/validation/checks.js';
import { EngineStage } from './engine-stage.js';
import { clientOf, isGatewayMessage } from './gateway-message.js';
import { SequenceLane } from './sequence-lane.js';

/** How much {@link SequenceInterceptor} lets wait. */
export interface SequenceInterceptorOptions {
  /** Messages of one connection that may wait for an earlier one; more are refused. Default 1000. */
  readonly maxPending?: number;
}

/**
 * Runs the messages of one connection of an ordinary gateway one after another, in the order in which the guards let
 * them through, and numbers the replies from 1 on in a field `seq`: `{ ...reply, seq }`, or `{ payload, seq }` for a
 * reply that is not an object. Nest alone runs them all at once, and replies come in the order in which they are
 * ready.
 *
 * Put it first, so that the order covers what the other interceptors do. On a channel class it does nothing: there
 * publishes are ordered by the engine (P16), and replies carry the `ref` of what they answer.
 *
 * @example
 * @UseInterceptors(SequenceInterceptor)
 * @WebSocketGateway()
 * export class OrdersGateway {}
 * @publicApi
 */
@EngineStage()
@Injectable()
export class SequenceInterceptor implements NestInterceptor {
  private readonly lanes = new WeakMap<object, SequenceLane>();
  private readonly maxPending: number;

  constructor(@Optional() { maxPending = 1_000 }: SequenceInterceptorOptions = {}) {
    this.maxPending = maxPending;
  }

  /**
   * Called by Nest.
   *
   * @throws WsException `rate_limited` when more than `maxPending` messages of the connection wait.
   */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (!isGatewayMessage(context)) return next.handle();
    const lane = this.laneOf(clientOf(context));
    if (lane.waiting >= this.maxPending) {
      throw new WsException({ code: 'rate_limited', message: 'Too many messages wait for an earlier one' });
    }
    return lane.run(() => next.handle()).pipe(map((reply: unknown) => stamp(reply, lane)));
  }

  private laneOf(client: object): SequenceLane {
    let lane = this.lanes.get(client);
    if (lane === undefined) this.lanes.set(client, (lane = new SequenceLane()));
    return lane;
  }
}

function stamp(reply: unknown, lane: SequenceLane): unknown {
  if (reply === undefined) return undefined;
  const seq = lane.next();
  return isRecord(reply) ? { ...reply, seq } : { payload: reply, seq };
}
