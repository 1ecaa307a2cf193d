import { Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Authorize, Channel, OnPublish, PublicChannel, RealtimeModule } from '../../../lib/index.js';

@Channel('rooms.:room')
@PublicChannel()
class RoomsGateway {
  @Authorize('publish')
  canWrite(): boolean {
    return true;
  }

  @OnPublish('message.created')
  onMessage(): void {}
}

@Module({
  imports: [RealtimeModule.forRoot({ auth: { anonymous: true } })],
  providers: [RoomsGateway],
})
class AppModule {}

/** A server for consumers that are clients only. */
export class RoomsServer {
  private constructor(
    private readonly app: INestApplication,
    /** Address of the endpoint. */
    readonly url: string,
  ) {}

  static async start(): Promise<RoomsServer> {
    const app = await NestFactory.create(AppModule, { logger: false });
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    return new RoomsServer(app, `http://127.0.0.1:${port}/realtime`);
  }

  stop(): Promise<void> {
    return this.app.close();
  }
}
