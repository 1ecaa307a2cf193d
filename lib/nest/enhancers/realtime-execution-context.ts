import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { RealtimeContext } from '../decorators/realtime-context.js';
import { InertResponse, responseOf } from './inert-response.js';

const next = (): void => undefined;

/**
 * Nest's context of a call on a socket. What was written for HTTP finds the connection as its request and a response that
 * sends nothing; with Nest's own class it would find the client's payload in the place of the response.
 */
export class RealtimeExecutionContext extends ExecutionContextHost {
  override switchToHttp(): ReturnType<ExecutionContextHost['switchToHttp']> {
    return Object.assign(this, {
      getRequest: <T>() => this.requestOf() as T,
      getResponse: <T>() => this.responseOf() as T,
      getNext: <T>() => next as T,
    });
  }

  /** The connection. */
  protected requestOf(): unknown {
    return this.getArgByIndex(0);
  }

  protected responseOf(): InertResponse {
    const call: unknown = this.getArgByIndex(2);
    return call instanceof RealtimeContext ? responseOf(call) : new InertResponse();
  }
}
