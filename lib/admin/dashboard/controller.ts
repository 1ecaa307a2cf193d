import {
  Controller,
  Get,
  Inject,
  NotFoundException,
  Param,
  Req,
  Res,
  SetMetadata,
  UseFilters,
  UseGuards,
  VERSION_NEUTRAL,
  type ControllerOptions,
  type Type,
} from '@nestjs/common';
import { AdminErrorFilter } from '../admin-error.filter.js';
import { AdminAuthorityGuard } from '../admin.guard.js';
import type { AdminAuthority } from '../authority.js';
import type { AdminRequest } from '../input.js';
import type { AdminConfig } from '../options.js';
import { AdminOriginGuard } from '../origin.guard.js';
import { ADMIN_ROUTE, PAGE_ROUTE } from '../tokens.js';
import { DashboardPages, PAGE } from './pages.js';
import { DashboardStreams } from './streams.js';

/**
 * Makes the controllers of the dashboard. Its files have nothing of the application in them, and are the same for everybody: they are
 * behind the guards where that is asked for. Everything else is behind the guards in any case.
 */
export function dashboardControllers({ path, guards, dashboard }: AdminConfig): readonly Type[] {
  const at: ControllerOptions = { path: `${path}/dashboard`, version: VERSION_NEUTRAL };

  @Controller(at)
  @UseFilters(AdminErrorFilter)
  @UseGuards(AdminOriginGuard, ...guards, AdminAuthorityGuard)
  class RealtimeDashboardStreams {
    constructor(@Inject(DashboardStreams) private readonly streams: DashboardStreams) {}

    @Get('readings')
    @needs('readDashboard', 'read')
    readings(@Req() request: AdminRequest, @Res() response: object): Promise<void> {
      return this.streams.readings(request, response);
    }

    @Get('tap')
    @needs('tapChannel', 'moderate')
    tap(@Req() request: AdminRequest, @Res() response: object): Promise<void> {
      return this.streams.tap(request, response);
    }
  }

  @Controller(at)
  class RealtimeDashboardPage {
    constructor(@Inject(DashboardPages) private readonly pages: DashboardPages) {}

    @Get()
    page(@Res() response: object): void {
      this.pages.send(response, PAGE);
    }

    @Get(':file')
    file(@Param('file') file: string, @Res() response: object): void {
      if (!this.pages.has(file)) throw new NotFoundException();
      this.pages.send(response, file);
    }
  }
  if (dashboard?.guardPage === true) {
    UseFilters(AdminErrorFilter)(RealtimeDashboardPage);
    UseGuards(AdminOriginGuard, ...guards, AdminAuthorityGuard)(RealtimeDashboardPage);
    SetMetadata(ADMIN_ROUTE, { id: PAGE_ROUTE, authority: 'read' })(RealtimeDashboardPage);
  }
  // The streams first: a file may be called anything.
  return [RealtimeDashboardStreams, RealtimeDashboardPage];
}

function needs(id: string, authority: AdminAuthority): MethodDecorator {
  return SetMetadata(ADMIN_ROUTE, { id, authority });
}
