import {
  Inject,
  Injectable,
  Logger,
  Optional,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RealtimeRuntime } from '../nest/index.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { includesAuthority } from './authority.js';
import { ADMIN_CONFIG, ADMIN_ROUTE } from './tokens.js';
import type { AdminConfig } from './options.js';
import type { AdminRoute } from './route.js';
import { callerOf } from './caller.js';

/** Runs behind the guards of the application: demands the authority of the route. */
@Injectable()
export class AdminAuthorityGuard implements CanActivate {
  private readonly logger = new Logger('RealtimeAdminModule');
  private warned = false;

  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    private readonly reflector: Reflector,
    @Optional() private readonly runtime: RealtimeRuntime,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.reflector.getAllAndOverride<AdminRoute>(ADMIN_ROUTE, [
      context.getHandler(),
      context.getClass(),
    ]);
    const request: unknown = context.switchToHttp().getRequest();
    const held: unknown = await this.config.authorityOf(request, route.id);
    if (includesAuthority(held, route.authority)) return true;
    if (held !== undefined && !includesAuthority(held, 'read')) this.warnOnce();
    this.record(route, request);
    throw new RealtimeError('forbidden', `This needs the authority "${route.authority}"`);
  }

  /** Bounded as what clients are refused: somebody without any authority must not push out what others did. */
  private record({ id, authority }: AdminRoute, request: unknown): void {
    const caller = callerIfAny(this.config, request);
    this.runtime.audit.recordRefusal(`admin ${caller.by ?? ''}`, `authorize admin ${id}`, () => ({
      act: 'authorize',
      ...caller,
      result: 'refused',
      error: 'forbidden',
      data: { route: id, authority },
    }));
  }

  private warnOnce(): void {
    if (this.warned) return;
    this.warned = true;
    this.logger.warn(
      'authorityOf returned what is no authority, which refuses the request: return "read", "moderate", "administer" or undefined',
    );
  }
}

/** A caller without a name is refused all the same. */
function callerIfAny(config: AdminConfig, request: unknown): { readonly by?: string } {
  try {
    return { by: callerOf(config, request) };
  } catch {
    return {};
  }
}
