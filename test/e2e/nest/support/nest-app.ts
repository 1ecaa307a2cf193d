import type { INestApplication, LoggerService, ModuleMetadata, NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { Authenticator } from '../../../../lib/core/ports/identity.js';
import { RealtimeModule } from '../../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../../lib/nest/realtime-options.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { noteSecrets } from '../../../../scripts/canary.mjs';
import { WireClient, type WireClientOptions } from '../../../support/wire/client.js';

/** The HTTP platforms that everything must work on. */
export const PLATFORMS = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
] as const;

export type Platform = (typeof PLATFORMS)[number][1];

/** Takes a token for the name of its user; `bad…` is refused. */
export const byName: Authenticator = {
  authenticate({ token }) {
    if (token === undefined) return {};
    if (token.startsWith('bad')) throw new RealtimeError('unauthorized');
    return { user: { id: token, role: token === 'root' ? 'admin' : 'member' } };
  },
};

/** One line that the application logged. */
export interface LogLine {
  readonly level: string;
  readonly text: string;
}

/** Keeps what Nest and the library log. */
export class RecordingNestLogger implements LoggerService {
  readonly lines: LogLine[] = [];
  log = this.keeper('log');
  error = this.keeper('error');
  warn = this.keeper('warn');
  debug = this.keeper('debug');
  verbose = this.keeper('verbose');

  at(level: string): readonly string[] {
    return this.lines.filter((line) => line.level === level).map(({ text }) => text);
  }

  get text(): string {
    return this.lines.map(({ level, text }) => `${level} ${text}`).join('\n');
  }

  private keeper(level: string) {
    return (...parts: unknown[]) => {
      const text = parts.map((part) => (part instanceof Error ? part.stack : String(part))).join(' | ');
      // What tests keep is not printed, so the scan of their output would not see it.
      noteSecrets(text);
      this.lines.push({ level, text });
    };
  }
}

/** What {@link startApp} can be told. */
export interface AppOptions extends Pick<ModuleMetadata, 'providers' | 'imports' | 'controllers'> {
  /** Options of the module; `auth` by default takes the token for the user's name. */
  readonly realtime?: RealtimeModuleOptions;
  /** Instead of `RealtimeModule.forRoot(realtime)`. */
  readonly module?: NonNullable<ModuleMetadata['imports']>[number];
  /** Before the application is made: overrides. */
  readonly override?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
  /** Before `init`: what main.ts would do. */
  readonly configure?: (app: INestApplication) => unknown;
  readonly application?: NestApplicationOptions;
  /** Default: a free one. */
  readonly port?: number;
}

/** A running application with a wire to it. */
export interface TestApp {
  readonly app: INestApplication;
  readonly logger: RecordingNestLogger;
  readonly port: number;
  readonly url: string;
  readonly httpUrl: string;
  /** Opens a connection, which {@link close} cuts; nothing is sent. */
  open(options?: WireClientOptions): Promise<WireClient>;
  /** Opens a connection and greets. */
  connect(token?: string, options?: WireClientOptions): Promise<WireClient>;
  close(): Promise<void>;
}

/** Makes an application that is not initialised, for tests of what fails at boot. */
export async function makeApp(platform: Platform, options: AppOptions) {
  const logger = new RecordingNestLogger();
  const realtime =
    options.module ??
    RealtimeModule.forRoot({
      auth: { authenticator: byName },
      // The process and its heap are shared with what other specs left behind: what they cause must not turn clients away here.
      shedding: false,
      ...options.realtime,
    });
  let builder = Test.createTestingModule({
    imports: [realtime, ...(options.imports ?? [])],
    controllers: options.controllers ?? [],
    providers: options.providers ?? [],
  }).setLogger(logger);
  if (options.override !== undefined) builder = options.override(builder);
  const module = await builder.compile();
  const app = module.createNestApplication<NestFastifyApplication>(platform() as FastifyAdapter, {
    logger,
    ...options.application,
  });
  await options.configure?.(app);
  return { app: app as INestApplication, logger };
}

export async function startApp(platform: Platform, options: AppOptions): Promise<TestApp> {
  const { app, logger } = await makeApp(platform, options);
  await app.listen(options.port ?? 0, '127.0.0.1');
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  const path = options.realtime?.path ?? '/realtime';
  const url = `ws://127.0.0.1:${port}${path}`;
  const clients = new Set<WireClient>();
  const open = async (clientOptions: WireClientOptions = {}): Promise<WireClient> => {
    const client = await WireClient.open(url, clientOptions);
    clients.add(client);
    return client;
  };
  let closed: Promise<void> | undefined;
  return {
    app,
    logger,
    port,
    url,
    httpUrl: `http://127.0.0.1:${port}${path}`,
    open,
    async connect(token, clientOptions) {
      const client = await open(clientOptions);
      await client.hello(token);
      return client;
    },
    close: () =>
      (closed ??= (async () => {
        for (const client of clients) client.terminate();
        await app.close();
      })()),
  };
}
