import {
  Controller,
  HttpCode,
  Inject,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
  UseFilters,
  VERSION_NEUTRAL,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { RealtimeError } from '../protocol/realtime-error.js';
import { AdminErrorFilter } from './admin-error.filter.js';
import type { AdminRequest } from './input.js';
import type { AdminConfig } from './options.js';
import { AdminOrigins } from './origins.js';
import type { AdminRoute } from './route.js';

/** How long a browser may keep the answer, in seconds. */
const MAX_AGE_S = 600;

/**
 * Makes a controller that answers what browsers ask before a page of another site sends a request: without credentials, so it is behind
 * no guard of the admin API, and says nothing but which origins are listed.
 */
export function preflightController(
  { path }: Pick<AdminConfig, 'path'>,
  routes: readonly AdminRoute[],
): Type {
  class RealtimeAdminPreflight {
    constructor(
      private readonly origins: AdminOrigins,
      private readonly host: HttpAdapterHost,
    ) {}

    answer(request: AdminRequest, response: object): void {
      const origin = this.origins.listed(request);
      if (origin === undefined) throw new RealtimeError('forbidden', 'This origin is not listed');
      const headers = request.headers['access-control-request-headers'];
      this.origins.allow(response, origin, {
        'Access-Control-Allow-Methods': 'GET, POST',
        // Which ones the guards read is not known here; who is listed may send any.
        'Access-Control-Allow-Headers': typeof headers === 'string' ? headers : 'Authorization, Content-Type',
        'Access-Control-Max-Age': String(MAX_AGE_S),
      });
      this.host.httpAdapter.reply(response, undefined, 204);
    }
  }
  const { prototype } = RealtimeAdminPreflight;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, 'answer') as PropertyDescriptor;
  Inject(AdminOrigins)(RealtimeAdminPreflight, undefined, 0);
  Inject(HttpAdapterHost)(RealtimeAdminPreflight, undefined, 1);
  Req()(prototype, 'answer', 0);
  Res()(prototype, 'answer', 1);
  HttpCode(204)(prototype, 'answer', descriptor);
  const paths = [...new Set(routes.map((route) => route.path))];
  RequestMapping({ method: RequestMethod.OPTIONS, path: paths })(prototype, 'answer', descriptor);
  UseFilters(AdminErrorFilter)(RealtimeAdminPreflight);
  Controller({ path, version: VERSION_NEUTRAL })(RealtimeAdminPreflight);
  return RealtimeAdminPreflight;
}
