import { Injectable, UnauthorizedException, type CanActivate, type ExecutionContext } from '@nestjs/common';
import {
  RealtimeAdminModule,
  type AdminAuthority,
  type RealtimeAdminOptions,
} from '../../../../lib/admin/index.js';
import { Authorize, Channel, OnPublish } from '../../../../lib/nest/index.js';
import { startApp, type AppOptions, type Platform, type TestApp } from '../support/nest-app.js';

interface StaffRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  staff?: string;
}

/** Takes `Authorization: Bearer <authority>` for a member of the staff with that authority. */
@Injectable()
export class StaffGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<StaffRequest>();
    const [, staff] = (request.headers['authorization'] ?? '').split(' ');
    if (staff === undefined || staff === '') throw new UnauthorizedException();
    request.staff = staff;
    return true;
  }
}

@Channel('rooms.:room', { history: { size: 100 }, presence: true })
export class Rooms {
  @Authorize('subscribe', 'publish')
  may(): boolean {
    return true;
  }
  @OnPublish('said')
  said(): void {}
}

/** What a request was answered with. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests read what they expect
  readonly body: any;
}

export interface AdminApp extends TestApp {
  get(path: string, as?: string): Promise<Answer>;
  post(path: string, body: unknown, as?: string, type?: string): Promise<Answer>;
}

export async function startAdmin(
  platform: Platform,
  options: AppOptions & {
    readonly at?: string;
    readonly path?: string;
    readonly dashboard?: RealtimeAdminOptions['dashboard'];
    readonly allowedOrigins?: RealtimeAdminOptions['allowedOrigins'];
  } = {},
): Promise<AdminApp> {
  const { at = '/realtime-admin', path, dashboard = false, allowedOrigins = [], ...rest } = options;
  const app = await startApp(platform, {
    ...rest,
    imports: [
      RealtimeAdminModule.forRoot({
        ...(path === undefined ? {} : { path }),
        dashboard,
        allowedOrigins,
        guards: [StaffGuard],
        authorityOf: ({ staff }: StaffRequest) => staff as AdminAuthority,
        by: ({ staff }: StaffRequest) => `staff:${staff}`,
      }),
      ...(rest.imports ?? []),
    ],
    providers: [Rooms, ...(rest.providers ?? [])],
  });
  const ask = async (method: string, to: string, as: string, body?: string, type?: string) => {
    const response = await fetch(`http://127.0.0.1:${app.port}${at}/${to}`, {
      method,
      headers: {
        ...(as === '' ? {} : { authorization: `Bearer ${as}` }),
        ...(type === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const { status, headers } = response;
    return { status, headers, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  };
  return Object.assign(app, {
    get: (to: string, as = 'administer') => ask('GET', to, as),
    post: (to: string, body: unknown, as = 'administer', type = 'application/json') =>
      ask('POST', to, as, typeof body === 'string' ? body : JSON.stringify(body), type),
  });
}
