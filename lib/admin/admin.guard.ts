import { Inject, Injectable, Logger, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RealtimeError } from '../protocol/realtime-error.js';
import { includesAuthority } from './authority.js';
import { ADMIN_CONFIG, ADMIN_ROUTE } from './tokens.js';
import type { AdminConfig } from './options.js';
import type { AdminRoute } from './route.js';

/** Runs behind the guards of the application: demands the authority of the route. */
@Injectable()
export class AdminAuthorityGuard implements CanActivate {
  private readonly logger = new Logger('RealtimeAdminModule');
  private warned = false;

  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.reflector.get<AdminRoute>(ADMIN_ROUTE, context.getHandler());
    const held: unknown = await this.config.authorityOf(context.switchToHttp().getRequest());
    if (includesAuthority(held, route.authority)) return true;
    if (held !== undefined && !includesAuthority(held, 'read')) this.warnOnce();
    throw new RealtimeError('forbidden', `This needs the authority "${route.authority}"`);
  }

  private warnOnce(): void {
    if (this.warned) return;
    this.warned = true;
    this.logger.warn(
      'authorityOf returned what is no authority, which refuses the request: return "read", "moderate", "administer" or undefined',
    );
  }
}
