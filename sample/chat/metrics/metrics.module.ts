import {
  Controller,
  ForbiddenException,
  Get,
  Header,
  Inject,
  Injectable,
  Module,
  UseGuards,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
} from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { RealtimeMetricsModule } from 'nestjs-realtime/metrics';
import { Registry } from 'prom-client';

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/**
 * Lets in who asks on this machine, and nobody for whom a proxy on it asks: metrics tell strangers how much the chat is used, and when
 * an attack on it works. Where the scraper is on another machine, check a token here instead.
 */
@Injectable()
export class LoopbackGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers, socket } = context
      .switchToHttp()
      .getRequest<Pick<IncomingMessage, 'headers' | 'socket'>>();
    const isProxied = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
    if (!isProxied && LOOPBACK.has(socket.remoteAddress ?? '')) return true;
    throw new ForbiddenException('Metrics are for this machine');
  }
}

@Controller('metrics')
@UseGuards(LoopbackGuard)
export class MetricsController {
  constructor(@Inject(Registry) private readonly registry: Registry) {}

  @Get()
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  @Header('cache-control', 'no-store')
  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}

/** The metrics of this application. A registry of its own, as tests run several applications in one process. */
@Module({})
export class MetricsModule {
  static register(): DynamicModule {
    const registry = new Registry();
    return {
      module: MetricsModule,
      imports: [RealtimeMetricsModule.forRoot({ registry })],
      controllers: [MetricsController],
      providers: [{ provide: Registry, useValue: registry }],
    };
  }
}
