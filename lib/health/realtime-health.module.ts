import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { RealtimeHealthIndicator } from './realtime-health-indicator.js';

/**
 * Provides {@link RealtimeHealthIndicator}. Needs `RealtimeModule.forRoot()` in the application, and @nestjs/terminus
 * 11 or 12.
 *
 * @example
 * @Module({ imports: [RealtimeHealthModule], controllers: [HealthController] })
 * export class HealthModule {}
 * @publicApi
 */
@Module({
  imports: [TerminusModule],
  providers: [RealtimeHealthIndicator],
  // An application needs no second import for `HealthCheckService`.
  exports: [RealtimeHealthIndicator, TerminusModule],
})
export class RealtimeHealthModule {}
