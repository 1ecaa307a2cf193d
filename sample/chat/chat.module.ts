import { Module, ValidationPipe } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { RealtimeModule } from 'nestjs-realtime';
import { JWT_SECRET, TOKEN_LIFETIME } from './chat.config.js';
import { LobbyGateway } from './lobby/lobby.gateway.js';
import { LoginController } from './login/login.controller.js';
import { PageController } from './page/page.controller.js';
import { RoomsGateway } from './rooms/rooms.gateway.js';
import { RoomsService } from './rooms/rooms.service.js';

@Module({
  imports: [
    JwtModule.register({ secret: JWT_SECRET, signOptions: { expiresIn: TOKEN_LIFETIME } }),
    RealtimeModule.forRoot({
      auth: { jwt: { secret: JWT_SECRET } },
      allowedOrigins: 'same-origin',
      // A demo on one machine may come back sooner, and stop sooner, than a fleet should: leave these two out.
      retry: { firstSpread: '1s', max: '4s' },
      drain: { deadline: '3s', spread: '1s' },
    }),
  ],
  controllers: [LoginController, PageController],
  providers: [
    RoomsService,
    RoomsGateway,
    LobbyGateway,
    // One pipe for HTTP and channels: every DTO of both is validated by it.
    { provide: APP_PIPE, useValue: new ValidationPipe({ whitelist: true, transform: true }) },
  ],
})
export class ChatModule {}
