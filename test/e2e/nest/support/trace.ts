import {
  Injectable,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { RealtimeContext } from '../../../../lib/nest/index.js';

/** Remembers where it ran: `<name>:<action>[@handler]`. */
@Injectable()
export class Trace {
  readonly lines: string[] = [];
  add(name: string, context: ExecutionContext): void {
    this.lines.push(`${name}:${RealtimeContext.from(context)?.action}`);
  }
  take(): string[] {
    return this.lines.splice(0);
  }
}

export function guard(name: string) {
  @Injectable()
  class TracingGuard implements CanActivate {
    constructor(readonly trace: Trace) {}
    canActivate(context: ExecutionContext): boolean {
      this.trace.add(name, context);
      return context.switchToWs().getData<{ deny?: string } | undefined>()?.deny !== name;
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Trace], TracingGuard);
  return TracingGuard;
}

export function interceptor(name: string) {
  @Injectable()
  class TracingInterceptor implements NestInterceptor {
    constructor(readonly trace: Trace) {}
    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      this.trace.add(name, context);
      return next.handle();
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Trace], TracingInterceptor);
  return TracingInterceptor;
}
