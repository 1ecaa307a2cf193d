import { afterEach, describe, expect, it } from '@jest/globals';
import { Catch, UseFilters, UseInterceptors, ValidationPipe, type ArgumentsHost } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { IsInt } from 'class-validator';
import { WebSocket } from 'ws';
import { DedupeInterceptor, EnvelopeInterceptor, SequenceInterceptor } from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

class Wait {
  @IsInt()
  ms!: number;
}

const runs: string[] = [];
const gates = new Map<string, () => void>();

/** Nest 11 does not send exceptions to clients of platform-ws. */
@Catch(WsException)
class SendingFilter {
  catch(exception: WsException, host: ArgumentsHost) {
    const data = exception.getError();
    host
      .switchToWs()
      .getClient<WebSocket>()
      .send(JSON.stringify({ event: 'exception', data }));
  }
}

@UseFilters(new SendingFilter())
@UseInterceptors(SequenceInterceptor, EnvelopeInterceptor, DedupeInterceptor)
@WebSocketGateway({ path: '/gateway' })
class Gateway {
  @SubscribeMessage('work')
  async work(@MessageBody() name: string) {
    runs.push(`>${name}`);
    if (name.startsWith('held')) await new Promise<void>((resolve) => gates.set(name, resolve));
    runs.push(`<${name}`);
    if (name.startsWith('fail')) throw new WsException({ message: name });
    return { done: name };
  }
  @SubscribeMessage('typed')
  typed(@MessageBody(new ValidationPipe({ transform: true })) wait: Wait) {
    return wait instanceof Wait;
  }
  @SubscribeMessage('silent')
  silent() {}
}

describe.each(PLATFORMS)('the interceptors on an ordinary gateway, on %s', (_name, platform) => {
  let server: TestApp | undefined;

  afterEach(async () => {
    await server?.close();
    server = undefined;
    runs.length = 0;
    gates.clear();
  });

  async function open() {
    server ??= await startApp(platform, {
      providers: [Gateway],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/gateway`);
    await new Promise((resolve) => socket.on('open', resolve));
    const received: Record<string, unknown>[] = [];
    socket.on('message', (raw: Buffer) =>
      received.push(JSON.parse(raw.toString()) as Record<string, unknown>),
    );
    return {
      received,
      send: (event: string, data: unknown) => socket.send(JSON.stringify({ event, data })),
      /** One envelope; pipes and handler get its payload. */
      work: (id: string, payload: unknown, event = 'work') =>
        socket.send(JSON.stringify({ event, data: { type: 'work', id, ts: 1, payload } })),
      answers: (count: number) => until(`${count} answers`, () => received.length === count),
      end: () => socket.terminate(),
    };
  }

  it('unwrap envelopes for pipes and handlers, and answer with an envelope that refers to the message (P5)', async () => {
    const client = await open();
    client.work('a', 'one');
    client.work('b', { ms: 5 }, 'typed');
    await client.answers(2);
    expect(client.received).toEqual([
      {
        type: 'reply',
        id: expect.any(String),
        ts: expect.any(Number),
        ref: 'a',
        payload: { done: 'one' },
        seq: 1,
      },
      { type: 'reply', id: expect.any(String), ts: expect.any(Number), ref: 'b', payload: true, seq: 2 },
    ]);
    client.end();
  });

  it('refuse a message that is not an envelope, and name the wrong fields (P6)', async () => {
    const client = await open();
    client.send('work', 'text');
    client.send('work', { type: 'work', id: '', ts: 'now' });
    await client.answers(2);
    expect(client.received[0]).toMatchObject({
      event: 'exception',
      data: { code: 'bad_request', details: [{ path: '', message: 'must be an object' }] },
    });
    expect((client.received[1]?.['data'] as { details: unknown }).details).toEqual([
      { path: 'id', message: 'must be a string of 1 to 64 characters' },
      { path: 'ts', message: 'must be a number' },
    ]);
    expect(runs).toEqual([]);
    client.end();
  });

  it('run the messages of a connection one by one, reply in order, and number the replies', async () => {
    const [client, other] = [await open(), await open()];
    client.work('1', 'held');
    client.work('2', 'two');
    client.work('3', 'fail');
    client.work('4', 'four');
    other.work('1', 'else');
    await other.answers(1);
    expect(runs).toEqual(['>held', '>else', '<else']);
    gates.get('held')?.();
    await client.answers(4);
    expect(runs.slice(3)).toEqual(['<held', '>two', '<two', '>fail', '<fail', '>four', '<four']);
    expect(client.received.map(({ ref, seq, event }) => ref ?? event ?? seq)).toEqual([
      '1',
      '2',
      'exception',
      '4',
    ]);
    expect(client.received.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(other.received[0]?.['seq']).toBe(1);
    client.end();
    other.end();
  });

  it('drop a message with a repeated id, also while the first one runs, but not after the first failed', async () => {
    const [client, other] = [await open(), await open()];
    client.work('1', 'held');
    client.work('1', 'again');
    client.work('2', 'fail');
    client.work('2', 'retry');
    client.work('3', undefined, 'silent');
    other.work('1', 'own');
    await until('the first', () => gates.has('held'));
    gates.get('held')?.();
    await client.answers(3);
    await other.answers(1);
    expect(runs.filter((run) => run.startsWith('>')).sort()).toEqual(['>fail', '>held', '>own', '>retry']);
    client.end();
    other.end();
  });
});
