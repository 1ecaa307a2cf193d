import {
  Controller,
  Inject,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
  SetMetadata,
  UseFilters,
  UseGuards,
  VERSION_NEUTRAL,
  type Type,
} from '@nestjs/common';
import { AdminErrorFilter } from './admin-error.filter.js';
import { AdminAuthorityGuard } from './admin.guard.js';
import type { AdminRequest } from './input.js';
import { AdminOriginGuard } from './origin.guard.js';
import type { AdminConfig } from './options.js';
import type { AdminRoute } from './route.js';
import { AdminRunner } from './runner.js';
import { ADMIN_ROUTE } from './tokens.js';

type Method = (
  this: { readonly runner: AdminRunner },
  request: AdminRequest,
  response: unknown,
) => Promise<void>;

/**
 * Makes a controller with a method for each route: path and guards are those of one `forRoot()`. The methods take the request itself, so
 * that pipes of the application, which know nothing of these bodies, do not change them.
 */
export function controllerOf({ path, guards }: AdminConfig, routes: readonly AdminRoute[]): Type {
  class RealtimeAdminController {
    constructor(readonly runner: AdminRunner) {}
  }
  const { prototype } = RealtimeAdminController;
  Inject(AdminRunner)(RealtimeAdminController, undefined, 0);
  for (const route of routes) {
    const value: Method = function (request, response) {
      return this.runner.run(route, request, response);
    };
    const descriptor = { value, writable: true, configurable: true, enumerable: false };
    Object.defineProperty(prototype, route.id, descriptor);
    Reflect.defineMetadata('design:paramtypes', [Object, Object], prototype, route.id);
    Req()(prototype, route.id, 0);
    Res()(prototype, route.id, 1);
    RequestMapping({ method: RequestMethod[route.method], path: route.path })(
      prototype,
      route.id,
      descriptor,
    );
    SetMetadata(ADMIN_ROUTE, route)(prototype, route.id, descriptor);
  }
  UseFilters(AdminErrorFilter)(RealtimeAdminController);
  UseGuards(AdminOriginGuard, ...guards, AdminAuthorityGuard)(RealtimeAdminController);
  Controller({ path, version: VERSION_NEUTRAL })(RealtimeAdminController);
  return RealtimeAdminController;
}
