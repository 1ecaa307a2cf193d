import { Injectable, UnauthorizedException, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { AdminAuthority } from 'nestjs-realtime/admin';
import { isModerator, type User } from '../login/user.js';

/** What the guard reads of a request, and what it leaves there. Express and Fastify have this in common. */
export interface StaffRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: User;
}

/** What the log-in signed. */
interface Claims extends Pick<User, 'name' | 'role'> {
  readonly sub: string;
}

/** Finds out who calls the admin API: `Authorization: Bearer` with a token of the log-in. What the caller may do comes behind it. */
@Injectable()
export class StaffGuard implements CanActivate {
  constructor(private readonly jwt: JwtService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<StaffRequest>();
    const [scheme, token] = (request.headers['authorization'] ?? '').split(' ');
    if (scheme?.toLowerCase() !== 'bearer' || token === undefined) throw new UnauthorizedException();
    try {
      const { sub, ...claims } = await this.jwt.verifyAsync<Claims>(token);
      request.user = { id: sub, ...claims };
    } catch {
      throw new UnauthorizedException('The token is not valid, or has expired: log in again');
    }
    return true;
  }
}

/** Users of the chat are known, and may do nothing here. */
export function authorityOf({ user }: StaffRequest): AdminAuthority | undefined {
  return user !== undefined && isModerator(user) ? 'administer' : undefined;
}

/** For the audit: the same ids as in the acts of the page. */
export function callerOf({ user }: StaffRequest): string {
  return user?.id ?? '';
}
