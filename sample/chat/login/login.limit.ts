import {
  HttpException,
  HttpStatus,
  Injectable,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';

/** Log-ins of one address that may come at once; one more is allowed each second. */
const AT_ONCE = 60;
const EVERY_MS = 1_000;
/** Addresses that are remembered. Beyond them the oldest is forgotten, and may begin again. */
const MAX_ADDRESSES = 10_000;

/** Express and Fastify have this in common. */
interface Response {
  header(name: string, value: string): unknown;
}

/** Each log-in costs a signature, and with passwords it would be a guess: so no address gets any number of them. */
@Injectable()
export class LoginLimit implements CanActivate {
  /** By address, when it has all its log-ins again. */
  private readonly fullAt = new Map<string, number>();

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { ip } = http.getRequest<{ ip: string }>();
    const now = performance.now();
    const fullAt = Math.max(this.fullAt.get(ip) ?? 0, now) + EVERY_MS;
    const waitMs = fullAt - now - AT_ONCE * EVERY_MS;
    if (waitMs > 0) {
      http.getResponse<Response>().header('Retry-After', String(Math.ceil(waitMs / 1_000)));
      throw new HttpException(
        { message: ['Too many log-ins. Try again later'] },
        HttpStatus.TOO_MANY_REQUESTS,
      );
    }
    this.fullAt.delete(ip);
    this.fullAt.set(ip, fullAt);
    if (this.fullAt.size > MAX_ADDRESSES) this.fullAt.delete(this.fullAt.keys().next().value ?? ip);
    return true;
  }
}
