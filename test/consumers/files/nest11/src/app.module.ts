import { Module } from '@nestjs/common';
import { RealtimeModule } from 'nestjs-realtime';
import { AppController } from './app.controller';
import { AppService } from './app.service';
import { RoomsGateway } from './rooms.gateway';

@Module({
  imports: [
    RealtimeModule.forRoot({
      auth: { jwt: { secret: process.env.JWT_SECRET } },
    }),
  ],
  controllers: [AppController],
  providers: [AppService, RoomsGateway],
})
export class AppModule {}
