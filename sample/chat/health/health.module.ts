import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { RealtimeHealthIndicator, RealtimeHealthModule } from 'nestjs-realtime/health';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly realtime: RealtimeHealthIndicator,
  ) {}

  /** Ready when a probe that is published on the normal path returns. */
  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.realtime.ready('realtime')]);
  }
}

@Module({ imports: [TerminusModule, RealtimeHealthModule], controllers: [HealthController] })
export class HealthModule {}
