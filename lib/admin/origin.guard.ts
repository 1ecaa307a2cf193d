import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { AdminRequest } from './input.js';
import { AdminOrigins } from './origins.js';
import type { AdminRoute } from './route.js';
import { ADMIN_ROUTE, PAGE_ROUTE } from './tokens.js';

/**
 * Runs before the guards of the application. A link or an image of another site sends cookies along: nothing is answered, nobody is
 * asked, and nobody is recorded, for what they did not ask. Pages of listed origins may read the answers, those of the guards too.
 */
@Injectable()
export class AdminOriginGuard implements CanActivate {
  constructor(
    private readonly origins: AdminOrigins,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<AdminRequest>();
    const origin = this.origins.listed(request);
    this.origins.allow(http.getResponse(), origin);
    // As browsers say it; who is no browser does not.
    if (request.headers['sec-fetch-site'] !== 'cross-site' || origin !== undefined) return true;
    if (this.isPage(context)) return true;
    throw new RealtimeError('forbidden', 'A page of another site may not ask this');
  }

  /** The page of the dashboard itself: a link to it may be on any site. */
  private isPage(context: ExecutionContext): boolean {
    const route = this.reflector.getAllAndOverride<Pick<AdminRoute, 'id'> | undefined>(ADMIN_ROUTE, [
      context.getHandler(),
      context.getClass(),
    ]);
    return route?.id === PAGE_ROUTE;
  }
}
