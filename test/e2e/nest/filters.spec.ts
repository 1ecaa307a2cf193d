import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  ForbiddenException,
  Injectable,
  UseFilters,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { BaseWsExceptionFilter, ConnectedSocket, MessageBody, WsException } from '@nestjs/websockets';
import { throwError } from 'rxjs';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { Channel, OnRequest, PublicChannel } from '../../../lib/nest/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { PLATFORMS, startApp, type AppOptions, type Platform, type TestApp } from './support/nest-app.js';
import { Trace } from './support/trace.js';

class Teapot extends Error {}

@Catch(Teapot)
@Injectable()
class ReturningFilter implements ExceptionFilter {
  constructor(readonly trace: Trace) {}
  catch(exception: Error) {
    this.trace.lines.push('class filter');
    return new RealtimeError('muted', exception.message);
  }
}
Reflect.defineMetadata('design:paramtypes', [Trace], ReturningFilter);

@Catch()
class ThrowingFilter implements ExceptionFilter {
  catch(): never {
    throw new ForbiddenException('translated');
  }
}

@Catch(Error)
class LookingFilter implements ExceptionFilter {
  catch(_error: Error, host: ArgumentsHost) {
    host.switchToWs().getClient<RealtimeConnection>().data['looked'] = true;
  }
}

@Catch()
class GatewayFilter extends BaseWsExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost) {
    super.catch(
      exception instanceof Teapot
        ? new WsException({ code: 'conflict', message: 'short and stout' })
        : exception,
      host,
    );
  }
}

@Catch()
class StreamFilter implements ExceptionFilter {
  catch() {
    return throwError(() => new WsException('streamed'));
  }
}

@UseFilters(ReturningFilter)
@PublicChannel()
@Channel('a')
class A {
  @OnRequest('class')
  byClass() {
    throw new Teapot('by class');
  }
  @OnRequest('other')
  other() {
    throw new WsException('not for the filter');
  }
  @UseFilters(ThrowingFilter)
  @OnRequest('throwing')
  async throwing() {
    throw new Teapot('by method');
  }
  @UseFilters(LookingFilter)
  @OnRequest('looking')
  looking() {
    throw new Teapot('unchanged');
  }
  @OnRequest('looked')
  looked(@ConnectedSocket() client: RealtimeConnection) {
    return client.data['looked'];
  }
  @UseFilters(new GatewayFilter())
  @OnRequest('gateway')
  gateway(@MessageBody() known: boolean) {
    throw known ? new Teapot('x') : new Error('inner secret');
  }
  @UseFilters(StreamFilter)
  @OnRequest('stream')
  stream() {
    return throwError(() => new Teapot('x'));
  }
}

const global: ExceptionFilter = {
  catch(_exception, host) {
    host.switchToHttp().getResponse<{ status(code: number): void }>().status(500);
  },
};

describe.each(PLATFORMS)('exception filters on %s', (_name, platform: Platform) => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(platform, options));

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  it('a filter of the method or class makes the error for the client; global filters of HTTP do not run', async () => {
    const { app, connect, logger } = await start({
      providers: [Trace, A, { provide: APP_FILTER, useValue: global }],
    });
    const client = await connect('alice');
    await client.subscribe('a');
    const error = (event: string, payload?: unknown) =>
      client.error({ type: 'request', channel: 'a', event, payload });
    await expect(error('class')).resolves.toMatchObject({ code: 'muted', message: 'by class' });
    expect(app.get(Trace).take()).toEqual(['class filter']);
    await expect(error('other')).resolves.toMatchObject({
      code: 'refused',
      message: 'not for the filter',
    });
    await expect(error('throwing')).resolves.toMatchObject({ code: 'forbidden', message: 'translated' });
    expect(app.get(Trace).take()).toEqual([]);
    await expect(error('looking')).resolves.toMatchObject({ code: 'internal' });
    expect(await client.call({ type: 'request', channel: 'a', event: 'looked' })).toMatchObject({
      payload: true,
    });
    await expect(error('gateway', true)).resolves.toMatchObject({
      code: 'refused',
      reason: 'conflict',
      message: 'short and stout',
    });
    const hidden = await error('gateway', false);
    expect(hidden.code).toBe('internal');
    expect(hidden.message).not.toContain('secret');
    await expect(error('stream')).resolves.toMatchObject({ code: 'refused', message: 'streamed' });
    expect(logger.text).not.toContain('status is not a function');
  });

  it('a filter may end the connection, and give it another user', async () => {
    @PublicChannel()
    @Channel('ended')
    class Ended {
      @UseFilters({
        catch(_error: unknown, host: ArgumentsHost) {
          const client = host.switchToWs().getClient<RealtimeConnection>();
          client.user = { id: 'nobody' };
          client.disconnect();
        },
      })
      @OnRequest('end')
      end(@ConnectedSocket() client: RealtimeConnection) {
        users.push(() => client.user?.id);
        throw new Teapot('x');
      }
    }
    const users: (() => unknown)[] = [];
    const { connect } = await start({ providers: [Ended] });
    const client = await connect('alice');
    await client.subscribe('ended');
    client.send({ type: 'request', id: 'r', channel: 'ended', event: 'end' });
    await client.expectClose(4811);
    expect(users.map((user) => user())).toEqual(['nobody']);
  });
});
