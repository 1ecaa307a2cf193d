import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { ConnectedSocket } from '@nestjs/websockets';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../../lib/health/index.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  RealtimeUser,
} from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import type { Authenticator } from '../../../lib/core/ports/identity.js';
import { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import {
  makeApp,
  PLATFORMS,
  startApp,
  type AppOptions,
  type TestApp,
} from '../../e2e/nest/support/nest-app.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly realtime: RealtimeHealthIndicator,
  ) {}

  @HealthCheck()
  @Get('ready')
  ready() {
    return this.health.check([() => this.realtime.ready('realtime')]);
  }
}

@Module({ imports: [TerminusModule, RealtimeHealthModule], controllers: [HealthController] })
class HealthModule {}

@Channel('rooms.:room', { signals: ['typing'] })
class RoomsChannel {
  @Authorize('subscribe')
  canRead(@ChannelParam('room') room: string) {
    return room !== 'secret';
  }

  @Authorize('publish', 'signal')
  canWrite(@RealtimeUser('id') user: string) {
    return user !== 'reader';
  }

  @OnPublish('said')
  said() {}

  @OnRequest('where', { scope: 'connection', authorize: 'authenticated' })
  where(@ConnectedSocket() connection: RealtimeConnection) {
    const { ip, secure, headers } = connection;
    return { ip, secure, host: headers.host };
  }
}

/** Takes a token for the name of its user, up to the first dot; `bad` is refused. */
const byName: Authenticator = {
  authenticate({ token }) {
    if (token === 'bad') throw new RealtimeError('unauthorized');
    return token === undefined ? {} : { user: { id: token.split('.')[0] ?? '' } };
  },
};

/** Clients that the node has now. */
export function sessionsOf(node: TestApp): number {
  return node.app.get(RealtimeRuntime).engine.status.sessions;
}

function optionsOf(realtime: RealtimeModuleOptions): AppOptions {
  return {
    imports: [HealthModule],
    providers: [RoomsChannel],
    realtime: { auth: { authenticator: byName }, trustProxy: 1, ...realtime },
  };
}

/** An application as the deployment guide has it: behind one proxy, with a health check. @param port Default: a free one. */
export function startNode(realtime: RealtimeModuleOptions = {}, port = 0): Promise<TestApp> {
  return startApp(PLATFORMS[0][1], { ...optionsOf(realtime), port });
}

/** The same without its start, for what fails at boot. */
export async function bootNode(realtime: RealtimeModuleOptions): Promise<void> {
  const { app } = await makeApp(PLATFORMS[0][1], optionsOf(realtime));
  try {
    await app.init();
  } finally {
    await app.close();
  }
}
