import { Module, type DynamicModule } from '@nestjs/common';
import { optionsRequired } from '../nest/errors/realtime-boot-error.js';
import { AdminErrorFilter } from './admin-error.filter.js';
import { AdminAuthorityGuard } from './admin.guard.js';
import { AdminAnswers } from './answer.js';
import { controllerOf } from './controller.js';
import { dashboardControllers } from './dashboard/controller.js';
import { DASHBOARD_PROVIDERS } from './dashboard/providers.js';
import { describeRoutes } from './openapi.js';
import { AdminOriginGuard } from './origin.guard.js';
import { AdminOrigins } from './origins.js';
import { readAdminOptions, type RealtimeAdminOptions } from './options.js';
import { preflightController } from './preflight.js';
import { ROUTES } from './routes/index.js';
import { RefusalCounts } from './refusal-counts.js';
import { AdminRunner } from './runner.js';
import { ADMIN_CONFIG } from './tokens.js';

/**
 * HTTP routes for the administrators of an application: who is connected, what channels do, and acts on users. Mounted only where it
 * is imported, and only behind guards. Needs `RealtimeModule.forRoot()` in the application. Where `@nestjs/swagger` is installed, the
 * routes are in the OpenAPI document of the application. All routes are in docs/admin-api.md.
 *
 * @example
 * @Module({
 *   imports: [
 *     RealtimeModule.forRoot({ auth: { jwt: { secret } } }),
 *     RealtimeAdminModule.forRoot({
 *       imports: [StaffModule],
 *       guards: [StaffGuard],
 *       authorityOf: (request: StaffRequest) => request.staff.realtime,
 *       by: (request: StaffRequest) => request.staff.email,
 *     }),
 *   ],
 * })
 * export class AppModule {}
 * @publicApi
 */
@Module({
  providers: [
    optionsRequired(
      ADMIN_CONFIG,
      'RealtimeAdminModule',
      'RealtimeAdminModule.forRoot({ guards, authorityOf, by })',
    ),
  ],
})
export class RealtimeAdminModule {
  /**
   * Mounts the routes.
   *
   * @throws RealtimeBootError, at once, with everything that is wrong with the options: without guards, `authorityOf` and `by` there is
   * no admin API. When the application starts, where it has no `RealtimeModule.forRoot()`.
   */
  static forRoot(options: RealtimeAdminOptions): DynamicModule {
    const config = readAdminOptions(options);
    const controller = controllerOf(config, ROUTES);
    const preflights = config.allowedOrigins.size === 0 ? [] : [preflightController(config, ROUTES)];
    return {
      module: RealtimeAdminModule,
      imports: config.imports,
      controllers: [
        controller,
        ...preflights,
        ...(config.dashboard === undefined ? [] : dashboardControllers(config)),
      ],
      providers: [
        { provide: ADMIN_CONFIG, useValue: config },
        // Before the application is made, so before it makes its document.
        { provide: describeRoutes, useFactory: () => describeRoutes(controller, ROUTES, preflights) },
        AdminAnswers,
        AdminAuthorityGuard,
        AdminErrorFilter,
        AdminOriginGuard,
        AdminOrigins,
        AdminRunner,
        RefusalCounts,
        ...(config.dashboard === undefined ? [] : DASHBOARD_PROVIDERS),
      ],
    };
  }
}
