import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { EMPTY, firstValueFrom, ignoreElements } from 'rxjs';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  OnSubscribe,
  PublicChannel,
} from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import type { WireClient } from '../../support/wire/client.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

/** What ran, in order. */
const ran: string[] = [];

class Pass implements CanActivate {
  canActivate() {
    return true;
  }
}
class Through implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle();
  }
}
class EmptyGuard implements CanActivate {
  canActivate() {
    return EMPTY;
  }
}
class WaitingGuard implements CanActivate {
  canActivate() {
    return firstValueFrom(EMPTY);
  }
}
class Dropping implements NestInterceptor {
  intercept() {
    return EMPTY;
  }
}
class DroppingLater implements NestInterceptor {
  async intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(ignoreElements());
  }
}
class Waiting implements NestInterceptor {
  async intercept() {
    return firstValueFrom(EMPTY);
  }
}

/** The handlers that a decorator makes: what they return or throw, bare and behind enhancers. */
function handlers(on: (event: string) => MethodDecorator) {
  class Handlers {
    @on('returns')
    returns() {
      ran.push('returns');
      return EMPTY;
    }
    @on('returns later')
    async returnsLater() {
      return EMPTY;
    }
    @UseGuards(Pass)
    @on('returns behind a guard')
    returnsGuarded() {
      return EMPTY;
    }
    @UseInterceptors(Through)
    @on('returns behind an interceptor')
    returnsIntercepted() {
      return EMPTY;
    }
    @UseInterceptors(Dropping)
    @on('is dropped')
    dropped() {
      ran.push('is dropped');
      return 1;
    }
    @UseInterceptors(DroppingLater)
    @on('is dropped later')
    droppedLater() {
      return 1;
    }
    @on('waits')
    async waits() {
      await firstValueFrom(EMPTY);
      ran.push('the rest');
    }
    @UseGuards(Pass)
    @on('waits behind a guard')
    async waitsGuarded() {
      await firstValueFrom(EMPTY);
      ran.push('the rest');
    }
    @UseInterceptors(Through)
    @on('waits behind an interceptor')
    async waitsIntercepted() {
      await firstValueFrom(EMPTY);
      ran.push('the rest');
    }
    @UseGuards(WaitingGuard)
    @on('its guard waits')
    guardWaits() {
      ran.push('its guard waits');
    }
    @UseInterceptors(Waiting)
    @on('its interceptor waits')
    interceptorWaits() {
      ran.push('its interceptor waits');
    }
    @UseGuards(EmptyGuard)
    @on('its guard says nothing')
    guardSaysNothing() {
      ran.push('its guard says nothing');
    }
  }
  return Handlers;
}

@PublicChannel()
@Channel('asks')
class Asks extends handlers((event) => OnRequest(event)) {}

@PublicChannel()
@Channel('publishes')
class Publishes extends handlers((event) => OnPublish(event)) {
  @Authorize('publish')
  can() {
    return true;
  }
}

@PublicChannel()
@Channel('hooks')
class Hooks {
  @OnSubscribe()
  joined() {
    ran.push('joined');
    return EMPTY;
  }
}

@Channel('silent')
class Silent {
  @Authorize('subscribe')
  can() {
    return EMPTY;
  }
}

describe('an Observable without a value', () => {
  let server: TestApp;
  let client: WireClient;
  beforeAll(async () => {
    server = await startApp(PLATFORMS[0][1], { providers: [Asks, Publishes, Hooks, Silent] });
    client = await server.connect('alice');
    for (const channel of ['asks', 'publishes']) await client.subscribe(channel);
  });
  beforeEach(() => void ran.splice(0));
  afterAll(() => server.close());

  const ask = (event: string) => client.call({ type: 'request', channel: 'asks', event });
  const publish = (event: string) =>
    client.call({ type: 'publish', channel: 'publishes', event, payload: 1 });
  const nothing = [
    'returns',
    'returns later',
    'returns behind a guard',
    'returns behind an interceptor',
    'is dropped',
    'is dropped later',
  ];
  const failing = [
    'waits',
    'waits behind a guard',
    'waits behind an interceptor',
    'its guard waits',
    'its interceptor waits',
  ];

  it.each(nothing)('as what a request handler gives (it %s) is the answer null (P5)', async (event) => {
    await expect(ask(event)).resolves.toMatchObject({ type: 'reply', payload: null });
    expect(ran).toEqual(event === 'returns' ? ['returns'] : []);
  });

  it.each(nothing)('as what a publish handler gives (it %s) appends nothing (G4)', async (event) => {
    await expect(publish(event)).resolves.toMatchObject({ type: 'error', payload: { code: 'internal' } });
  });

  it.each(failing)(
    'inside the code of a request (it %s) is a failure of that code, not an answer (G25)',
    async (event) => {
      const { type, payload } = await ask(event);
      expect([type, payload['code']]).toEqual(['error', 'internal']);
      const id = String(payload['message']).replace('Internal error ', '');
      expect(server.logger.at('error').some((line) => line.includes(id))).toBe(true);
      expect(ran).toEqual([]);
    },
  );

  it.each(failing)('inside the code of a publish (it %s) refuses the publish (G25)', async (event) => {
    await expect(publish(event)).resolves.toMatchObject({ type: 'error', payload: { code: 'internal' } });
    expect(ran).toEqual([]);
  });

  it.each([ask, publish])('from a guard refuses, and the handler does not run (G10)', async (send) => {
    await expect(send('its guard says nothing')).resolves.toMatchObject({
      type: 'error',
      payload: { code: 'forbidden' },
    });
    expect(ran).toEqual([]);
  });

  it('from an authorization refuses (G10)', async () => {
    await expect(client.error({ type: 'subscribe', channel: 'silent', payload: {} })).resolves.toMatchObject({
      code: 'unavailable',
    });
  });

  it('from a life-cycle hook is as good as any result', async () => {
    const before = server.logger.lines.length;
    await client.subscribe('hooks');
    await until('the hook', () => ran.includes('joined'));
    await client.call({ type: 'ping' });
    expect(server.logger.lines.slice(before)).toEqual([]);
  });
});
