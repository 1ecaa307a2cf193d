import {
  Injectable,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { map, Observable, type Subscription } from 'rxjs';
import { isRecord } from '../../protocol/validation/checks.js';
import { toWireValue } from '../../protocol/wire-value.js';
import { clientOf, isGatewayMessage } from './gateway-message.js';

/** Bounds of {@link SequenceInterceptor}. */
export interface SequenceInterceptorOptions {
  /** Messages of one connection that may wait for an earlier one; more are refused. Default 1000. */
  readonly maxPending?: number;
}

/**
 * Runs the messages of one connection of an ordinary gateway one after another, in the order in which they pass the
 * guards, and numbers the replies from 1 in a field `seq`: `{ ...reply, seq }`, or `{ payload, seq }` for a reply that is
 * not an object. Without it Nest runs them concurrently, and replies come in the order in which they are ready.
 *
 * Put it first, so that the order includes the work of the other interceptors. On a channel class it does nothing: there
 * the engine orders publishes (P16), and replies carry the `ref` of their command.
 *
 * @example
 * @UseInterceptors(SequenceInterceptor)
 * @WebSocketGateway()
 * export class OrdersGateway {}
 * @publicApi
 */
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

/** Runs the work of one connection one after another, and numbers the results. */
class SequenceLane {
  private readonly queue: (() => void)[] = [];
  private busy = false;
  private last = 0;

  /** Number of works that have not begun. */
  get waiting(): number {
    return this.queue.length;
  }

  /** The next number of this connection. */
  next(): number {
    return ++this.last;
  }

  /** Begins the work when all earlier work has completed or failed. Its place is taken at the subscription. */
  run<T>(work: () => Observable<T>): Observable<T> {
    return new Observable<T>((subscriber) => {
      let inner: Subscription | undefined;
      let running = false;
      const end = (): void => {
        if (!running) return;
        running = false;
        this.advance();
      };
      const begin = (): void => {
        if (subscriber.closed) return this.advance();
        running = true;
        inner = work().subscribe({
          next: (value) => subscriber.next(value),
          error: (error) => {
            subscriber.error(error);
            end();
          },
          complete: () => {
            subscriber.complete();
            end();
          },
        });
      };
      this.enqueue(begin);
      return () => {
        const place = this.queue.indexOf(begin);
        if (place !== -1) this.queue.splice(place, 1);
        inner?.unsubscribe();
        end();
      };
    });
  }

  private enqueue(begin: () => void): void {
    if (this.busy) {
      this.queue.push(begin);
      return;
    }
    this.busy = true;
    begin();
  }

  private advance(): void {
    const begin = this.queue.shift();
    if (begin === undefined) this.busy = false;
    // Not synchronously: a long queue of synchronous work would grow the stack.
    else queueMicrotask(begin);
  }
}

function stamp(reply: unknown, lane: SequenceLane): unknown {
  if (reply === undefined) return undefined;
  // Before it is spread, which would show the members that its `toJSON` hides.
  const value = toWireValue(reply, 'reply');
  const seq = lane.next();
  return isRecord(value) ? { ...value, seq } : { payload: value, seq };
}
