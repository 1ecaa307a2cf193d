import { Module, ValidationPipe, type DynamicModule } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { RealtimeModule, RealtimeService } from 'nestjs-realtime';
import { RealtimeAdminModule } from 'nestjs-realtime/admin';
import { brokerOptions } from './chat.broker.js';
import { LOCAL_HOSTS, TOKEN_LIFETIME, type ChatConfig } from './chat.config.js';
import { HealthModule } from './health/health.module.js';
import { LobbyGateway } from './lobby/lobby.gateway.js';
import { LoginController } from './login/login.controller.js';
import { ModeratorPassword } from './login/moderator.password.js';
import { isModerator } from './login/user.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { PageController } from './page/page.controller.js';
import { RoomDirectory } from './rooms/room-directory.js';
import { RoomsGateway } from './rooms/rooms.gateway.js';
import { RoomsModeration } from './rooms/rooms.moderation.js';
import { roomsOf } from './rooms/rooms.factory.js';
import { RoomsRepository } from './rooms/rooms.repository.js';
import { RoomsService } from './rooms/rooms.service.js';
import { authorityOf, callerOf, StaffGuard } from './staff/staff.guard.js';

@Module({
  imports: [HealthModule],
  controllers: [LoginController, PageController],
  providers: [
    RoomsService,
    RoomsModeration,
    RoomsGateway,
    RoomDirectory,
    LobbyGateway,
    // One pipe validates the DTOs of HTTP and of channels.
    { provide: APP_PIPE, useValue: new ValidationPipe({ whitelist: true, transform: true }) },
  ],
})
export class ChatModule {
  /** The broker has the library's logs and restrictions, and the application's rooms. Nothing else depends on which it is. */
  static register({
    jwtSecret,
    ticketSecret,
    moderatorPassword,
    broker,
    allowedHosts = LOCAL_HOSTS,
  }: ChatConfig): DynamicModule {
    const tokens = JwtModule.register({ secret: jwtSecret, signOptions: { expiresIn: TOKEN_LIFETIME } });
    return {
      module: ChatModule,
      imports: [
        MetricsModule.register(),
        tokens,
        RealtimeModule.forRoot({
          auth: { jwt: { secret: jwtSecret } },
          ...brokerOptions(broker),
          ...(ticketSecret === undefined ? {} : { ticketSecret }),
          // Slow mode does not hold up the moderator.
          moderation: { isExempt: isModerator },
          allowedOrigins: 'same-origin',
          // Without it a page whose name leads to this address for a moment would be of the same origin (DNS rebinding).
          allowedHosts,
          // For a demo on one machine: clients reconnect sooner, and the server stops sooner. Leave both out otherwise.
          retry: { firstSpread: '1s', max: '4s' },
          drain: { deadline: '3s', spread: '1s' },
        }),
        // At /realtime-admin, for whoever logs in as "moderator"; the dashboard at /realtime-admin/dashboard.
        RealtimeAdminModule.forRoot({
          imports: [tokens],
          guards: [StaffGuard],
          authorityOf,
          by: callerOf,
          dashboard: true,
        }),
      ],
      providers: [
        { provide: ModeratorPassword, useValue: new ModeratorPassword(moderatorPassword) },
        {
          provide: RoomsRepository,
          inject: [RealtimeService],
          useFactory: (realtime: RealtimeService) => roomsOf(broker, realtime),
        },
      ],
    };
  }
}
