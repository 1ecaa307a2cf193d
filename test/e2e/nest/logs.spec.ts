import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { ConsoleLogger } from '@nestjs/common';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  OnSubscribe,
  PublicChannel,
} from '../../../lib/nest/index.js';
import type { WireClient } from '../../support/wire/client.js';
import { byName, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

/** Nothing that the library itself writes; what a client sends is made of it. */
const MARK = 'c11ent-ch0se-th1s';

@Channel('rooms.:room')
@PublicChannel()
class Rooms {
  @Authorize('publish')
  can() {
    return true;
  }
  @OnPublish('said')
  said() {
    throw new Error('the database is away');
  }
  @OnRequest('count')
  count() {
    return { huge: 'x'.repeat(2_000_000) };
  }
  @OnSubscribe()
  joined() {
    throw new Error('the hook failed');
  }
}

let running: TestApp | undefined;
afterEach(async () => {
  jest.restoreAllMocks();
  await running?.close();
  running = undefined;
});

const [, platform] = PLATFORMS[0];

interface JsonRecord {
  readonly level: string;
  readonly message: string;
  readonly context?: string;
  readonly stack?: string;
  readonly params?: Readonly<Record<string, string>>;
}

/** What a line says of its connection: fields, or JSON behind the text. */
function idsOf({ message, params }: JsonRecord): unknown {
  const json = /\{[^{]*\}$/.exec(message)?.[0];
  return params ?? (json === undefined ? undefined : (JSON.parse(json) as unknown));
}

/** The session that a ticket continues, as `TicketSigner` writes it. */
function lineageIn(ticket: string): unknown {
  const body = Buffer.from(ticket.split('.')[0] ?? '', 'base64url').toString();
  return (JSON.parse(body) as unknown[])[2];
}

/** @returns the id of the error. */
async function failingPublish(client: WireClient): Promise<string> {
  const { message } = await client.error({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
  return message.split(' ').pop() ?? '';
}

describe('lines about one connection', () => {
  it('are one record of the console logger of Nest as JSON, with connection, session and user', async () => {
    const written: string[] = [];
    for (const stream of [process.stdout, process.stderr])
      jest.spyOn(stream, 'write').mockImplementation((text) => {
        written.push(String(text));
        return true;
      });
    running = await startApp(platform, {
      providers: [Rooms],
      realtime: { auth: byName },
      application: { logger: new ConsoleLogger({ json: true, colors: false }) },
    });
    const client = await running.open();
    const welcome = await client.hello('alice');
    const errorId = await failingPublish(client);
    jest.restoreAllMocks();
    const records = written
      .flatMap((text) => text.split('\n'))
      .filter((text) => text.startsWith('{'))
      .map((text) => JSON.parse(text) as JsonRecord);
    const about = records.filter((record) => JSON.stringify(record).includes(errorId));
    expect(about).toMatchObject([{ level: 'error', context: 'RealtimeModule' }]);
    const [record] = about;
    if (record === undefined) throw new Error('no record');
    expect(record.message).toContain(`Error ${errorId} in Rooms.said on connection `);
    expect(record.stack).toContain('the database is away');
    expect(idsOf(record)).toEqual({
      connection: /on connection (\S+)/.exec(record.message)?.[1],
      session: lineageIn(welcome.session),
      user: 'alice',
    });
  });

  it('have the same ids in their text where another logger is used', async () => {
    running = await startApp(platform, { providers: [Rooms], realtime: { auth: byName } });
    const client = await running.connect('alice');
    const errorId = await failingPublish(client);
    const [line] = running.logger.at('error').filter((text) => text.includes(errorId));
    expect(line).toMatch(
      /^Error \S+ in Rooms\.said on connection (\S+) \{"connection":"\1","session":"[^"]+","user":"alice"\} \| /,
    );
  });
});

describe('what a client chooses', () => {
  it('is in no line above debug: names, ids, payloads, headers, tokens, tickets', async () => {
    running = await startApp(platform, {
      providers: [Rooms],
      realtime: {
        auth: { authenticator: byName },
        limits: { ratePerSecond: 1_000, maxAnswerBytes: 1_000_000 },
      },
    });
    const headers = {
      'user-agent': MARK,
      'x-forwarded-for': MARK,
      cookie: `${MARK}=${MARK}`,
      traceparent: MARK,
    };
    const client = await running.open({ query: `?token=${MARK}&x=${MARK}`, headers });
    await client.hello('alice', { session: MARK, features: [MARK] });
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    const common = { key: MARK, trace: MARK, meta: { [MARK]: MARK } };
    const commands = [
      { type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: MARK }, ...common },
      { type: 'publish', channel: 'rooms.1', event: MARK, payload: MARK },
      { type: 'publish', channel: MARK, event: 'said', payload: MARK },
      { type: 'subscribe', channel: `rooms.${MARK}`, payload: { params: { [MARK]: MARK } } },
      { type: 'subscribe', channel: `${MARK}.1`, payload: { position: { epoch: MARK, seq: 3 } } },
      { type: 'request', channel: 'rooms.1', event: 'count', payload: MARK },
      { type: 'request', channel: 'rooms.1', event: MARK, payload: MARK },
      { type: 'request', event: MARK, payload: MARK },
      { type: 'signal', channel: 'rooms.1', event: MARK, payload: MARK },
      { type: 'history', channel: `rooms.${MARK}`, payload: { epoch: MARK } },
      { type: 'presence', channel: `rooms.${MARK}`, payload: { cursor: MARK } },
      { type: 'auth', payload: { token: `bad${MARK}` } },
      { type: MARK },
      { type: 'publish', channel: 'rooms.1', [MARK]: MARK },
    ];
    for (const [index, command] of commands.entries()) client.send({ id: `${MARK}-${index}`, ...command });
    await client.take({ ref: `${MARK}-${commands.length - 1}` });
    client.send(`{"type":"${MARK}`);
    client.send({ type: 'bye', id: MARK });
    await client.expectClose();
    const other = await running.open();
    other.send({ type: 'hello', id: MARK, payload: { versions: [1], token: `bad${MARK}`, session: MARK } });
    await other.expectClose();
    const shown = running.logger.lines.filter(({ level }) => level !== 'debug' && level !== 'verbose');
    expect(shown.filter(({ level }) => level === 'error').length).toBeGreaterThan(0);
    expect(shown.filter(({ text }) => text.includes(MARK))).toEqual([]);
  });
});
