import { describe, expect, it } from '@jest/globals';
import {
  Body,
  createParamDecorator,
  Inject,
  Injectable,
  Module,
  Scope,
  SetMetadata,
  UseGuards,
  type CanActivate,
  type Provider,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  PublicChannel,
  RealtimeBootError,
  RealtimeModule,
  Snapshot,
  type ChannelPolicyGuard,
} from '../../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../../lib/nest/lifecycle/realtime-runtime.js';
import type { RealtimeModuleOptions } from '../../../../lib/nest/realtime-options.js';
import { RealtimeService } from '../../../../lib/nest/realtime.service.js';

@Injectable()
class Guard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

interface Boot {
  readonly options?: RealtimeModuleOptions;
  readonly imports?: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>;
  readonly controllers?: NonNullable<Parameters<typeof Test.createTestingModule>[0]['controllers']>;
}

/** Boots an application without HTTP, and gives the problems one a line; none when it boots. */
async function boot(
  providers: Provider[],
  { options = {}, imports = [], controllers = [] }: Boot = {},
): Promise<string[]> {
  const builder = Test.createTestingModule({
    imports: [RealtimeModule.forRoot(options), ...imports],
    providers,
    controllers,
  }).setLogger(false as never);
  const module = await builder.compile();
  try {
    await module.init();
    return [];
  } catch (error) {
    if (!(error instanceof RealtimeBootError)) throw error;
    const [title, ...problems] = error.message.split('\n');
    expect(title).toBe('RealtimeModule cannot start:');
    return problems;
  } finally {
    await module.close();
  }
}

describe('boot errors', () => {
  it('a class that declares everything boots', async () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {}
    await expect(boot([Rooms])).resolves.toEqual([]);
  });

  describe('authorization (G9, G10)', () => {
    it('authorization is required to subscribe', async () => {
      @Channel('rooms.:room')
      class Rooms {}
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms: has no authorization for "subscribe". Add @Authorize(\'subscribe\') to a method, or @Authorize(Policy) or @PublicChannel() to the class.',
      ]);
    });

    it('public metadata of HTTP routes is no authorization, and the message names it', async () => {
      @SetMetadata('isPublic', true)
      @Channel('rooms.:room')
      class Rooms {}
      class Base {
        @SetMetadata('IS_PUBLIC_KEY', true)
        state() {}
      }
      @Channel('lobby')
      class Lobby extends Base {}
      await expect(boot([Rooms, Lobby])).resolves.toEqual([
        '- Rooms: has no authorization for "subscribe". Its metadata "isPublic" opens HTTP routes, not channels. Add @Authorize(\'subscribe\') to a method, or @Authorize(Policy) or @PublicChannel() to the class.',
        '- Lobby: has no authorization for "subscribe". Its metadata "IS_PUBLIC_KEY" opens HTTP routes, not channels. Add @Authorize(\'subscribe\') to a method, or @Authorize(Policy) or @PublicChannel() to the class.',
      ]);
    });

    it('an authorization contradicts a public channel', async () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @Authorize('subscribe')
        can() {
          return true;
        }
      }
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms: is a @PublicChannel(), and subscribe is authorized as well. Keep one of the two.',
      ]);
    });

    it('authorization is required to publish and to signal, and requires something to authorize', async () => {
      @PublicChannel()
      @Channel('a', { signals: ['typing'] })
      class Silent {
        @OnPublish('said')
        said() {}
      }
      @PublicChannel()
      @Channel('b')
      class Empty {
        @Authorize('publish', 'signal')
        can() {
          return true;
        }
      }
      await expect(boot([Silent, Empty])).resolves.toEqual([
        "- Silent: has @OnPublish (said) but no @Authorize('publish'). Declare who may publish.",
        "- Silent: has signals but no @Authorize('signal'). Declare who may signal.",
        "- Empty: has @Authorize('publish') but no @OnPublish. Declare the event names that clients may publish.",
        "- Empty: has @Authorize('signal') but no signals. List them: @Channel(pattern, { signals: ['typing'] }).",
      ]);
    });

    it('authorization is required for every request without a channel', async () => {
      @Injectable()
      class NoRequests implements ChannelPolicyGuard {
        subscribe() {
          return true;
        }
      }
      @PublicChannel()
      @Channel('a')
      class Rooms {
        @OnRequest('one', { scope: 'connection' })
        one() {}
        @OnRequest('two', { scope: 'connection', authorize: NoRequests })
        two() {}
        @OnRequest('three', { authorize: 'public' })
        three() {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms.three: has "authorize", but is a request of the channel. Use @Authorize(\'request\') for it.',
        '- Rooms.one: is a request without a channel and has no authorization of its own. Add { authorize: "authenticated" }, "public", or a policy class with a request() method.',
        '- Rooms.two: is a request without a channel and has no authorization of its own. Add { authorize: "authenticated" }, "public", or a policy class with a request() method.',
      ]);
    });

    it('authorization requires a policy class that Nest can instantiate', async () => {
      @Injectable()
      class Policy implements ChannelPolicyGuard {
        constructor(@Inject('NOWHERE') readonly nothing: unknown) {}
        subscribe() {
          return true;
        }
      }
      @Authorize(Policy)
      @Channel('a')
      class Rooms {}
      const [problem] = await boot([Rooms]);
      expect(problem).toMatch(
        /^- Rooms: Policy cannot be made: Nest can't resolve dependencies of the Policy .* Add Policy to the providers of a module\.$/,
      );
    });

    it('@Authorize on the wrong target throws at the decorator', () => {
      class Policy implements ChannelPolicyGuard {}
      const onMethod = Authorize(Policy) as unknown as MethodDecorator;
      const onClass = Authorize('subscribe') as unknown as ClassDecorator;
      expect(() => onMethod({}, 'x', { value: () => true })).toThrow(
        '@Authorize(): Policy on a method. A policy class goes on the class, action names go on a method.',
      );
      expect(() => onClass(class {})).toThrow(
        "@Authorize(): 'subscribe' on a class. A policy class goes on the class, action names go on a method.",
      );
      const typo = Authorize('subscibe' as 'subscribe');
      class Rooms {}
      expect(() => typo(Rooms.prototype, 'canRead', { value: () => true })).toThrow(
        "Rooms.canRead: @Authorize('subscibe'): not an action. Use one of subscribe, publish, signal, request, history, presence.",
      );
    });
  });

  describe('patterns (P23)', () => {
    it('patterns must not overlap', async () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {}
      @PublicChannel()
      @Channel('rooms.lobby')
      class Lobby {}
      await expect(boot([Rooms, Lobby])).resolves.toEqual([
        '- Lobby: its pattern "rooms.lobby" and "rooms.:room" of Rooms match the same names, so it is open which of them authorizes. Make a literal segment differ, or merge the classes.',
      ]);
    });

    it.each([
      [
        'rooms..x',
        '- Rooms: its pattern is invalid. "rooms..x" is not a channel pattern. Use segments of A-Z a-z 0-9 _ : @ ~ - separated by dots, none of them empty.',
      ],
      [
        'rooms.{room}',
        '- Rooms: its pattern is invalid. "rooms.{room}" is not a channel pattern. Use segments of A-Z a-z 0-9 _ : @ ~ - separated by dots, none of them empty. A parameter is written as ":room".',
      ],
      [
        'rooms.*',
        '- Rooms: its pattern is invalid. "rooms.*" is not a channel pattern. Use segments of A-Z a-z 0-9 _ : @ ~ - separated by dots, none of them empty. A parameter is written as ":room".',
      ],
      [
        'rooms.:',
        '- Rooms: its pattern is invalid. ":" in the channel pattern "rooms.:" is not a parameter. Write ":" and a name such as ":room".',
      ],
      ['$rooms', '- Rooms: its pattern "$rooms" begins with "$". Those names are the library’s: rename it.'],
    ])('patterns must be valid: %s', async (pattern, expected) => {
      @PublicChannel()
      @Channel(pattern)
      class Rooms {}
      await expect(boot([Rooms])).resolves.toEqual([expected]);
    });
  });

  describe('provided classes', () => {
    it('a class must be provided once', async () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {}
      @Module({ providers: [Rooms] })
      class First {}
      @Module({ providers: [Rooms] })
      class Second {}
      await expect(boot([], { imports: [First, Second] })).resolves.toEqual([
        '- Rooms: is provided in two modules, First and Second, so there are two of it. Provide it once, and export it from that module where others inject it.',
      ]);
    });

    it('a class must be a singleton', async () => {
      @Injectable({ scope: Scope.REQUEST })
      class PerRequest {}
      @PublicChannel()
      @Channel('a')
      class Indirect {
        constructor(readonly per: PerRequest) {}
      }
      Reflect.defineMetadata('design:paramtypes', [PerRequest], Indirect);
      @PublicChannel()
      @Channel('b')
      @Injectable({ scope: Scope.TRANSIENT })
      class Transient {}
      const remedy =
        'Connections outlive requests: make it a singleton, and keep what belongs to a connection in connection.data.';
      await expect(boot([PerRequest, Indirect, Transient])).resolves.toEqual([
        `- Indirect: is request-scoped, by itself or by something it injects. ${remedy}`,
        `- Transient: is transient. ${remedy}`,
      ]);
    });

    it('a class must not be a controller', async () => {
      @PublicChannel()
      @Channel('a')
      class Rooms {}
      await expect(boot([], { controllers: [Rooms] })).resolves.toEqual([
        '- Rooms: carries @Channel but is registered as a controller. Move it to "providers".',
      ]);
    });

    it('a class must be instantiated by Nest to keep its guards', async () => {
      @UseGuards(Guard)
      @PublicChannel()
      @Channel('a')
      class Rooms {}
      await expect(boot([{ provide: 'ROOMS', useFactory: () => new Rooms() }])).resolves.toEqual([
        '- Rooms.authorize:subscribe: Guard is bound to it, but Nest has no instance of it and would skip it. Provide Rooms as a class ("providers: [Rooms]"), not by a factory or value.',
      ]);
    });

    it('a global guard must not have request scope, as Nest would skip it', async () => {
      @Injectable({ scope: Scope.REQUEST })
      class ScopedGuard extends Guard {}
      await expect(boot([{ provide: APP_GUARD, useClass: ScopedGuard }])).resolves.toEqual([
        '- ScopedGuard: is a global guard or pipe of request scope, which Nest would skip here. Make it a singleton; what it needs of a request is in the ExecutionContext.',
      ]);
    });

    it.each([
      ['no provider', undefined],
      ['a provider', RealtimeService],
    ])('forRoot() must be imported when %s asks for the service', async (_who, asked) => {
      const providers: Provider[] =
        asked === undefined
          ? []
          : [{ provide: 'publisher', inject: [asked], useFactory: (service: unknown) => service }];
      const builder = Test.createTestingModule({ imports: [RealtimeModule], providers });
      await expect(builder.setLogger(false as never).compile()).rejects.toThrow(
        'RealtimeModule cannot start:\n- RealtimeModule: is imported without options. ' +
          'Write imports: [RealtimeModule.forRoot({ auth: … })] in the root module.',
      );
    });

    it('the bare class may be imported beside forRoot(), before or after it', async () => {
      @Injectable()
      class Publisher {
        constructor(readonly realtime: RealtimeService) {}
      }
      @Module({ imports: [RealtimeModule], providers: [Publisher], exports: [Publisher] })
      class Feature {}
      for (const order of [
        [Feature, RealtimeModule.forRoot()],
        [RealtimeModule.forRoot(), Feature],
      ]) {
        const module = await Test.createTestingModule({ imports: order })
          .setLogger(false as never)
          .compile();
        await module.init();
        expect(module.get(Publisher, { strict: false }).realtime).toBe(
          module.get(RealtimeService, { strict: false }),
        );
        await module.close();
      }
    });

    it('the module must be imported only once', async () => {
      await expect(boot([], { imports: [RealtimeModule.forRoot({ path: '/other' })] })).resolves.toEqual([
        '- RealtimeModule: is imported with forRoot() more than once. Import it once, in the root module.',
      ]);
    });
  });

  describe('handlers', () => {
    it('handlers must be declared once', async () => {
      @PublicChannel()
      @Channel('a')
      class Rooms {
        @OnRequest('x')
        one() {}
        @SubscribeMessage('x')
        two() {}
        @Snapshot()
        three() {}
        @Snapshot()
        four() {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        "- Rooms: declares the request 'x' on one and on two. Keep one of them.",
        '- Rooms: declares @Snapshot() on three and on four. Keep one of them.',
      ]);
    });

    const undecorated =
      'has no decorator and would always be undefined. Decorate it, e.g. with @MessageBody() or @ChannelParam().';
    const byPlace =
      'has a parameter without a decorator, and so would get the connection in its place. Decorate it, e.g. with @MessageBody(), @ChannelParam() or @RealtimeUser().';

    it('no handler of a channel is filled by place: every parameter needs a decorator (G10)', async () => {
      @Channel('rooms.:room')
      class Rooms {
        @Authorize('subscribe')
        one(room: string) {
          return room !== 'secret';
        }
        @Authorize('history')
        two(_user: unknown, room: string) {
          return room !== 'secret';
        }
        @Authorize('presence')
        three(room = 'lobby') {
          return room !== 'secret';
        }
        @Snapshot()
        four(_room: string) {}
        @OnSubscribe()
        five(_user: unknown, _room: string) {}
        @OnUnsubscribe()
        six(..._all: unknown[]) {}
        @OnRequest('seven')
        seven(_dto: unknown) {}
        @OnRequest('eight', { scope: 'connection', authorize: 'public' })
        eight(_dto: unknown) {}
        @OnRequest('nine')
        nine() {}
      }
      const refused = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
      const found = await boot([Rooms]);
      expect([...found].sort()).toEqual(refused.map((name) => `- Rooms.${name}: ${byPlace}`).sort());
    });

    it('a @SubscribeMessage of a channel takes (client, payload) as in a gateway, and nothing more', async () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @SubscribeMessage('one')
        one(_client: unknown, _payload: unknown) {}
        @SubscribeMessage('two')
        two(_client: unknown, _payload: unknown, _room: string) {}
        @SubscribeMessage('three')
        @OnSubscribe()
        three(_client: unknown) {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        `- Rooms.three: ${byPlace}`,
        `- Rooms.two: parameter 2 ${undecorated} Without any decorator a gateway's handler gets (connection, payload).`,
      ]);
    });

    it('handlers must use only parameters that exist', async () => {
      const Custom = createParamDecorator(() => 1);
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @OnRequest('one')
        one(@ChannelParam('rom') _room: string) {}
        @OnRequest('two')
        two(@MessageBody() _body: unknown, _room: string) {}
        @OnRequest('three')
        three(_connection: unknown, _payload: unknown, _room: unknown) {}
        @OnRequest('four')
        four(@Body() _body: unknown, @Custom() _custom: unknown) {}
        @OnRequest('five', { scope: 'connection', authorize: 'public' })
        five(@ChannelParam('room') _room: string) {}
        @Authorize('publish')
        can() {
          return true;
        }
        @OnPublish('six')
        six(_payload: unknown) {}
        @OnPublish('seven')
        seven(_connection: unknown, _payload: unknown) {}
        @OnPublish('eight')
        eight() {}
        @OnPublish('nine')
        nine(_room: string, @MessageBody() _body: unknown) {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        `- Rooms.six: ${byPlace}`,
        `- Rooms.seven: ${byPlace}`,
        `- Rooms.nine: parameter 0 ${undecorated}`,
        '- Rooms.one: takes @ChannelParam(\'rom\'), which "rooms.:room" does not have. It has: room.',
        `- Rooms.two: parameter 1 ${undecorated}`,
        `- Rooms.three: ${byPlace}`,
        '- Rooms.five: takes a @ChannelParam, but has no channel. Send it in the payload instead.',
      ]);
    });

    it('handlers must have names that clients can send (P5)', async () => {
      @PublicChannel()
      @Channel('a')
      class Rooms {
        @OnRequest('')
        one() {}
        @SubscribeMessage({ cmd: 'x' } as never)
        two() {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms.two: its @SubscribeMessage is not a string. Clients send event names: use one.',
        '- Rooms.one: the event name is not usable. Give a string of 1 to 128 characters.',
      ]);
    });

    it('handlers must have no guards on @OnUnsubscribe', async () => {
      @PublicChannel()
      @Channel('a')
      class Rooms {
        @UseGuards(Guard)
        @OnUnsubscribe()
        left() {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms: has @UseGuards on left, which is @OnUnsubscribe(). An end cannot be refused: remove the guards.',
      ]);
    });
  });

  describe('channel policies (G1)', () => {
    it('channels must not need more than the broker declares', async () => {
      const broker = () =>
        Object.defineProperty(memoryBroker(), 'capabilities', {
          value: { durability: 'process', dedupes: false, presence: false },
        });
      @PublicChannel()
      @Channel('a', { durability: 'replicated', presence: true, dedupe: '10m' })
      class Rooms {}
      @PublicChannel()
      @Channel('b')
      class Modest {}
      await expect(boot([Rooms, Modest], { options: { broker } })).resolves.toEqual([
        '- @Channel of Rooms.durability: is "replicated", but the memory broker promises "process". Use a broker that promises more, or ask for less.',
        '- @Channel of Rooms.dedupe: is set, but the memory broker does not dedupe. Leave it out, or use another broker.',
        '- @Channel of Rooms.presence: is set, but the memory broker keeps none. Leave it out, or use another broker.',
      ]);
    });

    it('presence is true, false or an object', async () => {
      @PublicChannel()
      @Channel('a', { presence: 'yes' as never })
      class Rooms {}
      await expect(boot([Rooms])).resolves.toEqual([
        '- @Channel of Rooms.presence: is neither true, false nor an object. Give one of them, or leave it out.',
      ]);
    });

    it('channel options must be written as documented', async () => {
      @PublicChannel()
      @Channel('a', {
        overflow: 'drop' as never,
        history: { size: 0, tll: '1h' } as never,
        dedupe: '1m',
        signals: 'x' as never,
        presence: { maxMembers: 0, maxmembers: 5 } as never,
      })
      class Rooms {}
      await expect(boot([Rooms])).resolves.toEqual([
        '- @Channel of Rooms.dedupe: is 60000 ms, but clients repeat a publish for 300000 ms (limits.dedupe). Make it at least as long, or shorten limits.dedupe.',
        '- @Channel of Rooms.history.size: is 0. Give a whole number of at least 1.',
        '- @Channel of Rooms.history.tll: is not an option. Did you mean "ttl"?',
        '- @Channel of Rooms.presence.maxMembers: is 0. Give a whole number of at least 1.',
        '- @Channel of Rooms.presence.maxmembers: is not an option. Did you mean "maxMembers"?',
        '- @Channel of Rooms.overflow: is none of the known values. Use one of disconnect, drop-oldest, drop-newest, conflate.',
        '- @Channel of Rooms.signals: is not a list of strings. Give an array of strings.',
      ]);
    });
  });

  describe('a class that is also a gateway', () => {
    it('a class that is also a gateway must state where @SubscribeMessage is reachable', async () => {
      @WebSocketGateway()
      @PublicChannel()
      @Channel('a')
      class Rooms {
        @SubscribeMessage('x')
        x() {}
      }
      await expect(boot([Rooms])).resolves.toEqual([
        "- Rooms: is a @WebSocketGateway and a @Channel, and Nest serves @SubscribeMessage (x) on the gateway's path to everybody who connects there, without the channel's authorization. " +
          'Declare where clients reach them: @Channel(pattern, { expose: ["channel"] }), ["gateway"] or both. Or use @OnRequest.',
      ]);
    });

    it('a class must not inherit a @SubscribeMessage handler that `expose` leaves out', async () => {
      class Base {
        @SubscribeMessage('x')
        x() {}
      }
      @WebSocketGateway()
      @PublicChannel()
      @Channel('a', { expose: ['channel'] })
      class Rooms extends Base {}
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms.x: is inherited, so Nest serves it on the gateway’s path although "expose" leaves that out. Override it in the class, use @OnRequest, or expose it on the gateway too.',
      ]);
    });

    it('`expose` must use known words', async () => {
      @WebSocketGateway()
      @PublicChannel()
      @Channel('a', { expose: ['chanel'] as never })
      class Rooms {}
      await expect(boot([Rooms])).resolves.toEqual([
        '- Rooms: "expose" is not a list of "channel" and "gateway". Give e.g. ["channel"].',
      ]);
    });
  });

  it('a runtime that is used before it has started throws an error that says so', async () => {
    const module = await Test.createTestingModule({ imports: [RealtimeModule.forRoot()] }).compile();
    expect(() => module.get(RealtimeRuntime).engine).toThrow(
      'RealtimeModule has not started yet. Use RealtimeService from onModuleInit() on, not in a constructor.',
    );
    // Whoever publishes from a constructor has a promise to look at, as after every other mistake.
    const room = module.get(RealtimeService).channel('rooms.1');
    for (const attempt of [
      room.publish('said', 1),
      room.publish('said', 1, { id: 'a' }),
      room.signal('said'),
      room.history(),
    ])
      await expect(attempt).rejects.toThrow('has not started yet');
    await module.close();
  });
});
