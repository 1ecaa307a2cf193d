import { head, posted, type RawAnswer } from './support/raw-socket.js';
import type { Attack, Site } from './support/site.js';
import { sign } from './support/tokens.js';

/** Requests of sessions over HTTP, or of plain streams, one after the other, and the statuses that they are answered with. */
export interface SessionAttack extends Attack {
  readonly run: (client: Client) => Promise<readonly number[]>;
  readonly answers: readonly number[];
}

/** Makes requests, each on a connection of its own. */
export class Client {
  constructor(private readonly site: Site) {}

  async ask(bytes: string): Promise<RawAnswer> {
    const socket = await this.site.open();
    socket.write(bytes);
    const answer = await socket.answer();
    socket.destroy();
    if (answer === undefined) throw new Error('The connection ended without an answer');
    return answer;
  }

  /** Opens a session by polls. @returns its id */
  async session(headers: readonly string[] = []): Promise<string> {
    const token = sign({ sub: this.site.nextUser() });
    const hello = [{ type: 'hello', id: 'h', payload: { versions: [1], token } }];
    const { status, body } = await this.ask(posted('/realtime/poll', JSON.stringify(hello), headers));
    if (status !== 200) throw new Error(`Refused with ${status}`);
    const [welcome] = JSON.parse(body) as [{ payload: { connection: string } }];
    return welcome.payload.connection;
  }

  async send(
    session: string,
    number: string,
    body: string = PING,
    headers: readonly string[] = [],
  ): Promise<number> {
    const own = [`Realtime-Session: ${session}`, `Realtime-Send: ${number}`, ...headers];
    return (await this.ask(posted('/realtime/send', body, own))).status;
  }

  async poll(session: string, number: string, headers: readonly string[] = []): Promise<number> {
    const lines = [`Realtime-Session: ${session}`, `Realtime-Ack: ${number}`, ...headers];
    return (
      await this.ask(
        head(
          'POST /realtime/poll HTTP/1.1',
          'Host: app.example',
          'Connection: close',
          'Content-Length: 0',
          ...lines,
        ),
      )
    ).status;
  }

  /** A stream that says by the id of its last event that there is nothing more. @returns its status */
  async refusedStream(query: string, code: string): Promise<number> {
    const socket = await this.site.open();
    socket.write(this.streamRequest(query));
    const status = (await socket.answer())?.status ?? 0;
    const text = await socket.rest();
    if (!text.includes(`"code":"${code}"`) || !/^id: ?stop$/m.test(text)) throw new Error(text);
    return status;
  }

  async stream(query: string, headers: readonly string[] = []): Promise<RawAnswer> {
    return await this.ask(this.streamRequest(query, headers));
  }

  private streamRequest(query: string, headers: readonly string[] = []): string {
    return head(
      `GET /realtime/sse?${query} HTTP/1.1`,
      'Host: app.example',
      `Authorization: Bearer ${sign({ sub: this.site.nextUser() })}`,
      'Connection: close',
      ...headers,
    );
  }
}

const PING = JSON.stringify([{ type: 'ping', id: 'p' }]);
const BYE = JSON.stringify([{ type: 'bye', id: 'b' }]);
const guess = (id: string): string => `${id.slice(0, 12)}${'A'.repeat(id.length - 12)}`;

export const sessionAttacks: readonly SessionAttack[] = [
  ...[
    ['that is guessed', (id: string) => guess(id)],
    ['of another length', (id: string) => id.slice(0, -1)],
    ['in other case', (id: string) => id.toUpperCase()],
    ['of the prototype', () => '__proto__'],
    ['of nothing', () => ''],
    ['with a path', () => '../../session'],
    ['of 4 KiB', () => 'a'.repeat(4_096)],
  ].map(([name, change]) => ({
    name: `a body for the id of a session ${name as string}`,
    clause: 'P21a, P21h',
    answers: [410, 202],
    run: async (client: Client) => {
      const id = await client.session();
      const answers = [await client.send((change as (id: string) => string)(id), '1')];
      return [...answers, await client.send(id, '1', BYE)];
    },
  })),
  {
    name: 'a poll of a session that is guessed',
    clause: 'P21a',
    answers: [410, 202],
    run: async (client) => {
      const id = await client.session();
      return [await client.poll(guess(id), '1'), await client.send(id, '1', BYE)];
    },
  },
  {
    name: 'the session of another page, which continues',
    clause: 'P21a, G22',
    answers: [403, 403, 202],
    run: async (client) => {
      const id = await client.session(['Origin: https://app.example']);
      return [
        await client.send(id, '1', PING, ['Origin: https://evil.example']),
        await client.poll(id, '1', ['Origin: https://evil.example']),
        await client.send(id, '1', BYE, ['Origin: https://app.example']),
      ];
    },
  },
  {
    name: 'a body that is replayed, and one from before',
    clause: 'P21d',
    answers: [202, 202, 202, 409, 202],
    run: async (client) => {
      const id = await client.session();
      return [
        await client.send(id, '1'),
        await client.send(id, '1'),
        await client.send(id, '2'),
        await client.send(id, '1'),
        await client.send(id, '3', BYE),
      ];
    },
  },
  ...['2', '0x1', '-1', '1.5', 'NaN', '1e0x', '9007199254740993', '', '1, 2'].map((number) => ({
    name: `a first body with the number ${JSON.stringify(number)}, which ends the session`,
    clause: 'P21d',
    answers: [409, 410],
    run: async (client: Client) => {
      const id = await client.session();
      return [await client.send(id, number), await client.send(id, '1')];
    },
  })),
  ...['2', '-1', 'x', '9007199254740993', ''].map((number) => ({
    name: `a poll for the answer ${JSON.stringify(number)} that never was, which ends the session`,
    clause: 'P21e',
    answers: [409, 410],
    run: async (client: Client) => {
      const id = await client.session();
      return [await client.poll(id, number), await client.send(id, '1', BYE)];
    },
  })),
  ...[
    ['that is text', '"hello"', 400],
    ['that is null', 'null', 400],
    ['that is no JSON', '{', 400],
    ['of nested lists', '['.repeat(60_000), 400],
    ['above the size of a frame', `["${'x'.repeat(1_200_000)}"]`, 413],
  ].map(([name, body, status]) => ({
    name: `a body ${name as string}, which ends the session`,
    clause: 'P21c',
    answers: [status as number, 410],
    run: async (client: Client) => {
      const id = await client.session();
      return [await client.send(id, '1', body as string), await client.send(id, '1')];
    },
  })),
  ...['Content-Encoding: gzip', 'Content-Encoding: identity, gzip', 'Content-Encoding: deflate'].map(
    (line) => ({
      name: `a body with ${line}`,
      clause: 'P21c',
      answers: [415, 202],
      run: async (client: Client) => {
        const id = await client.session();
        return [await client.send(id, '1', PING, [line]), await client.send(id, '1', BYE)];
      },
    }),
  ),
];

export const streamAttacks: readonly SessionAttack[] = [
  ...[
    ['a line break in the last id', 'channels=rooms.1&lastEventId=a%0D%0Adata:x', 200],
    ['a NUL in the last id', 'channels=rooms.1&lastEventId=a%00', 200],
    ['a last id of the prototype', 'channels=rooms.1&lastEventId=__proto__', 200],
    ['a last id above 4,096 bytes', `channels=rooms.1&lastEventId=${'a'.repeat(5_000)}`, 414],
    ['no channel', 'channels=', 400],
    ['a line break in the name of a channel', 'channels=rooms.1%0D%0Adata:x', 400],
    ['a wildcard', 'channels=rooms.*', 400],
    ['an escape that is none', 'channels=%E0%A4%A', 400],
  ].map(([name, query, status]) => ({
    name: `a plain stream with ${name as string}`,
    clause: 'P20',
    answers: [status as number],
    run: async (client: Client) => [(await client.stream(query as string)).status],
  })),
  ...[
    ['the channel of another user', '$user.root', 'forbidden'],
    ['a channel of others', 'secrets.root', 'forbidden'],
    ['a channel that nobody declared', 'nothing.1', 'unknown_channel'],
  ].map(([name, channel, code]) => ({
    name: `a plain stream with ${name as string}, which ends for good`,
    clause: 'P20c, P20f',
    answers: [200],
    run: async (client: Client) => [
      await client.refusedStream(`channels=${channel as string}`, code as string),
    ],
  })),
  {
    name: 'a plain stream with a last id of control characters in its header',
    clause: 'P20e',
    answers: [200],
    run: async (client) => [
      (await client.stream('channels=rooms.1', ['Last-Event-ID: \u00ff\u00fe, data: x'])).status,
    ],
  },
];
