import { describe, expect, it } from '@jest/globals';
import {
  createParamDecorator,
  Injectable,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CanActivate,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { ApplicationConfig, DiscoveryModule, DiscoveryService, ExternalContextCreator } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { ConnectedSocket, MessageBody } from '@nestjs/websockets';
import { RealtimeConnection } from '../../../../lib/core/ports/realtime-connection.js';
import {
  ChannelParam,
  DedupeInterceptor,
  MessageId,
  RealtimeContext,
  RealtimeUser,
} from '../../../../lib/nest/index.js';
import { HandlerCompiler } from '../../../../lib/nest/enhancers/handler-compiler.js';
import type { Method } from '../../../../lib/nest/enhancers/handler-target.js';
import { ErrorMapper } from '../../../../lib/nest/errors/error-mapper.js';
import { BootProblems } from '../../../../lib/nest/errors/realtime-boot-error.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const pass: CanActivate = { canActivate: () => true };
const same: PipeTransform = { transform: (value: unknown) => value };
const through: NestInterceptor = { intercept: (_context, next) => next.handle() };
const Custom = createParamDecorator(() => 'custom');

@Injectable()
class Handlers {
  plain(
    @ConnectedSocket() connection: RealtimeConnection,
    @MessageBody() body: unknown,
    @MessageBody('text') text: string,
    @ChannelParam('room') room: string,
    @RealtimeUser('id') user: string,
    @MessageId() id: string,
  ) {
    return [connection.id, body, text, room, user, id];
  }
  bare(connection: RealtimeConnection, body: unknown) {
    return [connection.id, body];
  }
  nothing(...args: unknown[]) {
    return args;
  }
  @UseGuards(pass)
  guardedNothing(...args: unknown[]) {
    return args;
  }
  guardedOne(connection: RealtimeConnection, ...rest: unknown[]) {
    return [connection, ...rest];
  }
  guardedDefault(connection: RealtimeConnection, payload: unknown = 'default') {
    return [connection, payload];
  }
  @UseInterceptors(DedupeInterceptor)
  lifted() {}
  @UseGuards(pass)
  guarded() {}
  @UseInterceptors(through)
  intercepted() {}
  @UsePipes(same)
  piped(@MessageBody() _body: unknown) {}
  paramPiped(@MessageBody(same) _body: unknown) {}
  custom(@Custom() value: unknown) {
    return value;
  }
}

@UseGuards(pass)
@Injectable()
class GuardedClass {
  plain() {}
}

const connection = new RealtimeConnection(
  'c1',
  { transport: 'websocket', headers: {}, url: '/', ip: '::1', network: '::/64', secure: false },
  { close: () => undefined },
);
connection.user = { id: 'alice' };
const context = new RealtimeContext('request', {
  connection,
  user: connection.user,
  channel: 'rooms.42',
  params: { room: '42' },
  id: 'm1',
  event: 'e',
  payload: { text: 'hi' },
});

async function compiler(configure: (config: ApplicationConfig) => void = () => undefined) {
  const module = await Test.createTestingModule({
    imports: [DiscoveryModule],
    providers: [Handlers, GuardedClass],
  }).compile();
  const config = new ApplicationConfig();
  configure(config);
  const contexts = module.get(ExternalContextCreator, { strict: false });
  const logger = new RecordingLogger();
  const mapper = new ErrorMapper(logger, new SeededEntropy());
  const wrappers = module.get(DiscoveryService).getProviders();
  return (type: typeof Handlers | typeof GuardedClass, methodName: string) => {
    const wrapper = wrappers.find(({ metatype }) => metatype === type);
    const instance = module.get<object>(type);
    const problems = new BootProblems();
    const compiled = new HandlerCompiler(contexts, config, mapper, problems, {
      globals: true,
      logger,
    }).compile({
      host: { instance, metatype: type, module: wrapper?.host as never },
      method: (instance as Record<string, Method>)[methodName] as Method,
      methodName,
    });
    problems.throwIfAny();
    return compiled;
  };
}

describe('the handler compiler', () => {
  it('calls a handler without enhancers directly and synchronously, with the right arguments', async () => {
    const compile = await compiler();
    expect(compile(Handlers, 'plain').run(context)).toEqual([
      'c1',
      { text: 'hi' },
      'hi',
      '42',
      'alice',
      'm1',
    ]);
    expect(compile(Handlers, 'bare').run(context)).toEqual(['c1', { text: 'hi' }]);
    expect(compile(Handlers, 'nothing').run(context)).toEqual([]);
    expect(compile(Handlers, 'lifted').direct).toBe(true);
  });

  it.each(['guardedNothing', 'guardedOne', 'guardedDefault'])(
    'gives %s its declared parameters, with and without global enhancers',
    async (method) => {
      const wanted = method === 'guardedDefault' ? [connection, 'default'] : [connection];
      const alone = await compiler();
      expect(await alone(Handlers, method).run(context)).toEqual(wanted);
      const behind = await compiler((config) => {
        config.useGlobalGuards(pass);
        config.useGlobalPipes(same);
      });
      expect(await behind(Handlers, method).run(context)).toEqual(wanted);
    },
  );

  it.each(['guarded', 'intercepted', 'piped', 'paramPiped', 'custom'])(
    'calls %s through Nest',
    async (method) => {
      const compiled = (await compiler())(Handlers, method);
      expect(compiled.direct).toBe(false);
      await expect(compiled.run(context)).resolves.toBe(method === 'custom' ? 'custom' : undefined);
    },
  );

  it('calls a handler through Nest when its class has enhancers', async () => {
    expect((await compiler())(GuardedClass, 'plain').direct).toBe(false);
  });

  it.each<[string, (config: ApplicationConfig) => void]>([
    ['guards', (config) => config.useGlobalGuards(pass)],
    ['pipes', (config) => config.useGlobalPipes(same)],
    ['interceptors', (config) => config.useGlobalInterceptors(through)],
  ])('calls handlers through Nest with global %s', async (_kind, configure) => {
    const compile = await compiler(configure);
    expect(compile(Handlers, 'plain').direct).toBe(false);
    await expect(compile(Handlers, 'plain').run(context)).resolves.toEqual([
      'c1',
      { text: 'hi' },
      'hi',
      '42',
      'alice',
      'm1',
    ]);
    await expect(compile(Handlers, 'bare').run(context)).resolves.toEqual(['c1', { text: 'hi' }]);
  });
});
