import { promisify } from 'node:util';
import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Injectable,
  Post,
  Req,
  UnauthorizedException,
} from '@nestjs/common';
import { unsign } from 'cookie-signature';
import session, { MemoryStore, type SessionData } from 'express-session';
import {
  RealtimeError,
  RealtimeService,
  type Credentials,
  type RealtimeAuthenticator,
} from 'nestjs-realtime';
import { csrfToken } from 'nestjs-realtime/auth';

// In tests, what an application takes from its configuration.
const SESSION_SECRET = 'a-secret-of-sessions-of-32-bytes!!!!';
export const CSRF_SECRET = 'another-secret-of-at-least-32-bytes!';
const users = {
  verify: async (name: string, password: string) => (password === 'right' ? { id: name } : undefined),
};

// recipe: the session
declare module 'express-session' {
  interface SessionData {
    user: string;
  }
}

export const store = new MemoryStore(); // in production one that all nodes share, e.g. connect-redis
export const sessions = session({
  store,
  name: 'sid',
  secret: SESSION_SECRET,
  resave: false,
  saveUninitialized: false,
  cookie: { httpOnly: true, sameSite: 'lax', maxAge: 3_600_000 }, // and secure: true behind TLS
});

@Injectable()
export class SessionAuthenticator implements RealtimeAuthenticator {
  private readonly read = promisify<string, SessionData | null | undefined>(store.get.bind(store));

  async authenticate({ token = '', via }: Credentials) {
    // The module has checked the Origin of what came in the cookie.
    const id = via === 'cookie' && token.startsWith('s:') ? unsign(token.slice(2), SESSION_SECRET) : false;
    const found = id === false ? undefined : await this.read(id);
    if (found?.user === undefined) throw new RealtimeError('unauthorized', 'Log in first');
    const { expires } = found.cookie;
    return { user: { id: found.user }, ...(expires ? { expiresAt: new Date(expires).getTime() } : {}) };
  }
}
// end

// recipe: log in and out
@Controller()
export class LoginController {
  constructor(private readonly realtime: RealtimeService) {}

  @Post('login')
  @HttpCode(204)
  async login(
    @Req() request: SessionRequest,
    @Body() { name, password }: { name: string; password: string },
  ) {
    const user = await users.verify(name, password);
    if (user === undefined) throw new UnauthorizedException();
    // A new id, so that nobody knows the session from before the log-in.
    await promisify(request.session.regenerate.bind(request.session))();
    request.session.user = user.id;
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@Req() request: SessionRequest) {
    const { user } = request.session;
    // First the session, so that nothing connects with it any more; then what is connected.
    await promisify(request.session.destroy.bind(request.session))();
    if (user !== undefined) await this.realtime.user(user).disconnect();
  }
}

interface SessionRequest {
  readonly session: session.Session & Partial<SessionData>;
}
// end

// recipe: the token of a page
@Controller()
export class CsrfController {
  @Get('realtime-csrf')
  token(@Headers('cookie') header?: string) {
    return { token: csrfToken({ secret: CSRF_SECRET, cookie: 'sid' }, header) };
  }
}
// end
