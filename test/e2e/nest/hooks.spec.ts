import {
  Injectable,
  Scope,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import {
  realtimeHooks,
  type ChannelHookEvent,
  type HookEvent,
  type HookProvider,
  type MemberHookEvent,
  type RealtimeHooksOptions,
} from '../../../lib/hooks/index.js';
import { Authorize, Channel, RealtimeService, type RealtimeBootError } from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { byName, makeApp, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

const SOON = stretched(100);

@Channel('rooms.:room', { presence: { grace: SOON } })
class Rooms {
  @Authorize('subscribe')
  mayRead() {
    return true;
  }
}

const seen: string[] = [];
const events: HookEvent[] = [];

function note(event: ChannelHookEvent | MemberHookEvent): void {
  events.push(event);
  seen.push(`${event.type} ${event.channel}${'user' in event ? ` ${event.user}` : ''}`);
}

@Injectable()
class RoomHooks implements HookProvider, OnApplicationBootstrap {
  private ready = false;
  onApplicationBootstrap(): void {
    this.ready = true;
  }
  onOccupied(event: ChannelHookEvent): void {
    // Only a method that has its `this`, of a provider that is ready.
    if (this.ready) note(event);
  }
  async onVacated(event: ChannelHookEvent): Promise<void> {
    note(event);
  }
  onMemberJoined(event: MemberHookEvent): void {
    note(event);
  }
}

const LEAVERS = Symbol('leavers');
const leavers = { provide: LEAVERS, useValue: { onMemberLeft: note } };
const providers = [Rooms, RoomHooks, leavers];
const hooks: RealtimeHooksOptions = {
  channels: ['rooms.:room'],
  vacatedAfter: SOON,
  providers: [RoomHooks, LEAVERS],
};

const running: TestApp[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  seen.length = 0;
  events.length = 0;
});

async function start(
  [, platform]: (typeof PLATFORMS)[number],
  realtime: Partial<RealtimeModuleOptions> = {},
  more: Partial<AppOptions> = {},
): Promise<TestApp> {
  const options = { auth: byName, hooks: realtimeHooks(hooks), ...realtime };
  const app = await startApp(platform, { providers, ...more, realtime: options });
  running.push(app);
  return app;
}

async function bootProblems(
  realtime: () => Partial<RealtimeModuleOptions>,
  more: Partial<AppOptions> = {},
): Promise<readonly string[]> {
  const [, platform] = PLATFORMS[0];
  try {
    const { app } = await makeApp(platform, {
      providers,
      ...more,
      realtime: { auth: byName, ...realtime() },
    });
    await app.init();
    await app.close();
  } catch (error) {
    return (error as RealtimeBootError).problems.map(
      ({ path, problem, remedy }) => `${path} ${problem} ${remedy}`,
    );
  }
  return [];
}

describe('hooks of a Nest application (G32)', () => {
  it.each(PLATFORMS)('call providers, by class and by token, in order and once (%s)', async (...platform) => {
    const app = await start(platform);
    const client = await app.connect('alice');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    await until('two events', () => seen.length === 2);
    client.terminate();
    await until('four events', () => seen.length === 4);
    expect([...seen.slice(0, 2)].sort()).toEqual(['channel.occupied rooms.1', 'member.joined rooms.1 alice']);
    expect([...seen.slice(2)].sort()).toEqual(['channel.vacated rooms.1', 'member.left rooms.1 alice']);
    expect(new Set(events.map(({ id }) => id)).size).toBe(4);
    expect(events.every(({ at }) => Math.abs(Date.now() - at) < stretched(60_000))).toBe(true);
  });

  it.each(PLATFORMS)('count plain event streams as subscribers (%s)', async (...platform) => {
    const app = await start(platform, { auth: { anonymous: true } });
    const ending = new AbortController();
    const response = await fetch(`${app.httpUrl}/sse?channels=rooms.1`, { signal: ending.signal });
    expect(response.status).toBe(200);
    await until('the channel to be occupied', () => seen.length === 1);
    ending.abort();
    await until('the channel to be vacated', () => seen.length === 2);
    expect(seen).toEqual(['channel.occupied rooms.1', 'channel.vacated rooms.1']);
  });

  it('are called for what the end of this node’s clients brings, and for notices that its hooks publish (G18)', async () => {
    @Channel('halls.:hall', { presence: { grace: 0 } })
    class Halls {
      @Authorize('subscribe')
      mayRead() {
        return true;
      }
    }
    let pushed = 0;
    let told = 0;
    @Injectable()
    class Goodbye implements BeforeApplicationShutdown {
      constructor(private readonly realtime: RealtimeService) {}
      async beforeApplicationShutdown(): Promise<void> {
        pushed++;
        await this.realtime.user('bob').publish('closing', {});
      }
    }
    const offline = { provide: 'offline', useValue: { onOffline: () => void told++ } };
    const app = await start(
      PLATFORMS[0],
      {
        hooks: realtimeHooks({ channels: ['halls.:hall'], providers: [LEAVERS, 'offline'], vacatedAfter: 0 }),
      },
      { providers: [Halls, Goodbye, leavers, offline] },
    );
    const client = await app.connect('alice');
    await client.call({ type: 'subscribe', channel: 'halls.1', payload: { presence: {} } });
    await app.close();
    expect(seen).toEqual(['member.left halls.1 alice']);
    expect([pushed, told]).toEqual([1, 1]);
  });

  it('hand over to another node when the application closes, and lose nothing', async () => {
    const store = new MemoryStore();
    const left = await start(PLATFORMS[0], { broker: memoryBroker({ store }) });
    const client = await left.connect('alice');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    await until('two events', () => seen.length === 2);
    await start(PLATFORMS[0], { broker: memoryBroker({ store }) });
    await left.close();
    await until('four events', () => seen.length === 4);
    expect([...seen.slice(2)].sort()).toEqual(['channel.vacated rooms.1', 'member.left rooms.1 alice']);
  });

  it('are followed where nothing is called, for another application of the cluster', async () => {
    const store = new MemoryStore();
    const { channels = [] } = hooks;
    const web = await start(PLATFORMS[0], {
      broker: memoryBroker({ store }),
      hooks: realtimeHooks({ channels, vacatedAfter: SOON }),
    });
    await start(PLATFORMS[0], { broker: memoryBroker({ store }), publisherOnly: true });
    const client = await web.connect('alice');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    await until('two events', () => seen.length === 2);
    expect([...seen].sort()).toEqual(['channel.occupied rooms.1', 'member.joined rooms.1 alice']);
  });
});

describe('hooks that cannot work are found at boot (G26)', () => {
  it('names a provider that is missing, of request scope, or without a method', async () => {
    @Injectable()
    class Missing implements HookProvider {
      onOccupied(): void {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class EachRequest implements HookProvider {
      onOccupied(): void {}
    }
    @Injectable()
    class Idle {}
    const problems = await bootProblems(
      () => ({
        hooks: realtimeHooks({
          ...hooks,
          providers: [RoomHooks, Missing, EachRequest, Idle, 'nothing', 'text'],
        }),
      }),
      { providers: [...providers, EachRequest, Idle, { provide: 'text', useValue: 'a' }] },
    );
    expect(problems).toHaveLength(5);
    expect(problems[0]).toMatch(/^hooks\.providers\[1\] is Missing, which cannot be found: /);
    expect(problems[0]).toContain('Add Missing to the providers of a module; it has to be a singleton.');
    expect(problems[1]).toMatch(/^hooks\.providers\[2\] is EachRequest, which cannot be found: .*scope/);
    expect(problems[2]).toMatch(/^hooks\.providers\[4\] is nothing, which cannot be found: /);
    expect(problems[3]).toMatch(/^hooks\.providers\[5\] is text, whose value is no object\. /);
    expect(problems[4]).toBe(
      'hooks.providers[3] is Idle, which has no method that hooks call. ' +
        'Give it one of onOccupied, onVacated, onMemberJoined, onMemberLeft, onOffline.',
    );
  });

  it('names a broker that records nothing', async () => {
    const broker = alteredBroker(memoryBroker(), { transitions: undefined });
    expect(await bootProblems(() => ({ broker, hooks: realtimeHooks(hooks) }))).toEqual([
      'hooks.channels asks when channels are occupied, which the broker "memory" does not record. ' +
        'Use redisBroker() or memoryBroker(), or leave channels out.',
    ]);
  });

  it('takes such a broker where no channels are followed', async () => {
    const broker = alteredBroker(memoryBroker(), { transitions: undefined });
    const offline = { provide: 'offline', useValue: { onOffline: () => undefined } };
    const problems = await bootProblems(
      () => ({ broker, hooks: realtimeHooks({ providers: ['offline'] }) }),
      { providers: [Rooms, offline] },
    );
    expect(problems).toEqual([]);
  });

  it('names targets for channels where no channels are followed', async () => {
    expect(await bootProblems(() => ({ hooks: realtimeHooks({ providers: [RoomHooks] }) }))).toEqual([
      'hooks.channels is missing, and RoomHooks is for what happens in channels. ' +
        'Say which channels are followed, such as ["rooms.:room"].',
    ]);
  });

  it('names what realtimeHooks() did not make', async () => {
    expect(await bootProblems(() => ({ hooks: { channels: ['rooms.1'] } as never }))).toEqual([
      'hooks is not what realtimeHooks() makes. Give realtimeHooks({ … }) of nestjs-realtime/hooks.',
    ]);
  });

  it('names each wrong option', async () => {
    const wrong = {
      channels: ['rooms..1'],
      vacatedAfter: '2d',
      providers: [{ class: RoomHooks }],
      webhooks: [{ url: 'https://example.com' }],
      provider: [],
    };
    expect(await bootProblems(() => ({ hooks: realtimeHooks(wrong as never) }))).toEqual([
      'hooks.channels is not a list of channels. Give names or patterns, such as ["rooms.:room"].',
      'hooks.vacatedAfter is "2d". Give 0 ms to 86400000 ms.',
      'hooks.providers is not a list of providers. Give classes, or tokens, of providers of the application.',
      'hooks.webhooks is not a list of targets. Give what webhookTarget({ url, secret }) makes.',
      'hooks.provider is not an option. Did you mean "providers"?',
    ]);
  });
});
