import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { RealtimeError, RealtimeModule } from 'nestjs-realtime';

const users = new Map([['alice', { id: 'alice', role: 'admin' }]]);
export const JWT_SECRET = 'a-secret-of-at-least-thirty-two-bytes!';

// recipe: Passport
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  constructor() {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: JWT_SECRET });
  }

  async validate({ sub }: { sub?: unknown }) {
    const user = users.get(String(sub));
    if (user === undefined) throw new RealtimeError('unauthorized');
    return user;
  }
}

@Module({ providers: [JwtStrategy], exports: [JwtStrategy] })
export class AuthModule {}

export const realtime = RealtimeModule.forRootAsync({
  imports: [AuthModule],
  inject: [JwtStrategy],
  useFactory: (strategy: JwtStrategy) => ({
    // The same key and the same validate(), so the user is the same on HTTP and here.
    auth: { jwt: { secret: JWT_SECRET, user: (claims) => strategy.validate(claims) } },
  }),
});
// end
