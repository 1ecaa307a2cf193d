import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import { WebSocket } from 'ws';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';
import type { PublishResult } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { eventMessage, ScriptedServer } from '../../support/wire/scripted-server.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

/** What the code of the quick start exports. */
type Follow = (options: {
  url: string;
  channel: string;
  token: () => Promise<string>;
  position?: Position;
  on: (name: string, value: unknown) => void;
}) => { publish(event: string, payload?: unknown): Promise<PublishResult>; close(): void };

const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
const SECTION = /## Quick start for authors of clients\n([\s\S]*?)\n## /.exec(DOCUMENT)?.[1] ?? '';
const CODE = /```js\n([\s\S]*?)```/.exec(SECTION)?.[1] ?? '';
const LINE = DOCUMENT.slice(0, DOCUMENT.indexOf(CODE)).split('\n').length;
/** The code with the `WebSocket` that it finds on its platform, which Node 20 does not have. */
const load = runInThisContext(
  `(WebSocket) => { ${CODE.replace('export function', 'function')}; return follow; }`,
  {
    filename: 'docs/protocol.md',
    lineOffset: LINE - 1,
  },
) as (WebSocketClass: typeof WebSocket) => Follow;

const CHANNELS = [
  wireChannel('rooms.:room', { publish: ['said'] }),
  wireChannel('short.:room', { publish: ['said'], log: { size: 5 } }),
];

let server: WireServer;
beforeEach(async () => {
  server = await startWireServer({
    channels: CHANNELS,
    settings: { retry: { baseMs: 5, maxMs: 50, firstSpreadMs: 10, stableMs: 10_000 } },
  });
});
afterEach(() => server.close());

/** A client of the quick start, with what it told. */
function start(channel: string, user = 'ada', url = server.url) {
  const told: [name: string, value: unknown][] = [];
  const sockets: WebSocket[] = [];
  class RecordedWebSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const client = load(RecordedWebSocket as typeof WebSocket)({
    url,
    channel,
    token: () => Promise.resolve(user),
    on: (name, value) => told.push([name, value]),
  });
  const valuesOf = (wanted: string): unknown[] =>
    told.filter(([name]) => name === wanted).map(([, value]) => value);
  return {
    client,
    sockets,
    valuesOf,
    seqs: (): unknown[] => valuesOf('event').map((event) => (event as { seq: number }).seq),
    cut: () => sockets.at(-1)?.terminate(),
  };
}

const publish = async (channel: string, count: number): Promise<void> => {
  for (let index = 0; index < count; index++)
    await server.engine.application.publish(channel, 'said', `n${index}`);
};
const range = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

describe('the quick start of docs/protocol.md', () => {
  it('says what to do after every close code', () => {
    const rows = [...SECTION.matchAll(/(\d{4}) `(\w+)`/g)].map(([, code, name]) => [name, Number(code)]);
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(Object.entries(CLOSE_CODES).map(([name, { code }]) => [name, code])),
    );
  });

  it('follows a channel through cuts: each event once and in order, and each publish once (P12–P15, P17)', async () => {
    const { client, sockets, seqs, valuesOf, cut } = start('rooms.1');
    await until('the first answer', () => valuesOf('subscribed').length === 1);
    await publish('rooms.1', 3);
    expect(await client.publish('said', 'mine')).toMatchObject({ seq: 4, duplicate: false });
    await until('the first events', () => seqs().length === 4);

    cut();
    await publish('rooms.1', 3);
    const behindCut = client.publish('said', 'after the cut');
    expect(await behindCut).toMatchObject({ seq: 8 });
    await until('the missed events', () => seqs().length === 8);

    // Cut with a publish on its way: whether it arrived is unknown, so it is sent again.
    const onItsWay = client.publish('said', 'on its way');
    await until('the publish to leave', () => sockets.at(-1)?.bufferedAmount === 0);
    cut();
    await onItsWay;
    await publish('rooms.1', 1);
    await until('the events behind the second cut', () => seqs().length === 10);

    expect(seqs()).toEqual(range(10));
    expect(sockets.length).toBeGreaterThanOrEqual(3);
    expect(valuesOf('gap')).toEqual([]);
    expect(valuesOf('subscribed').slice(1)).toEqual(
      valuesOf('subscribed')
        .slice(1)
        .map(() => expect.objectContaining({ recovery: 'complete' })),
    );
    client.close();
    expect(valuesOf('stopped')).toEqual([1000]);
  });

  it('announces what the log no longer has (P11, P25)', async () => {
    const { client, seqs, valuesOf, cut } = start('short.1');
    await until('the first answer', () => valuesOf('subscribed').length === 1);
    await publish('short.1', 1);
    await until('the first event', () => seqs().length === 1);
    cut();
    await publish('short.1', 8);
    await until('the last event', () => seqs().at(-1) === 9);
    expect(seqs()).toEqual([1, 5, 6, 7, 8, 9]);
    expect(valuesOf('gap')).toEqual([{ from: 2, to: 4 }]);
    client.close();
  });

  it('takes partial gaps, repeats and jumps as the cursor of the protocol does (P14, P25)', async () => {
    const script = await ScriptedServer.start();
    const retry = { baseMs: 5, maxMs: 50, firstSpreadMs: 10, stableMs: 10_000 };
    const { client, seqs, valuesOf } = start('rooms.1', 'ada', script.url.replace('http', 'ws'));
    const gap = (from: number, to: number, partial: boolean) => ({
      type: 'gap',
      channel: 'rooms.1',
      epoch: 'e1',
      payload: { from, to, reason: 'conflated', partial, recoverable: false },
    });
    try {
      const first = await script.accept();
      await first.welcome({ retry });
      await first.subscribed();
      first.send(eventMessage('rooms.1', 1), gap(2, 9, true), eventMessage('rooms.1', 5));
      first.send(eventMessage('rooms.1', 5), eventMessage('rooms.1', 1));
      await first.sync();
      first.terminate();

      // A cut inside the partial range resumes from the last delivered event, and nothing is skipped.
      const second = await script.accept();
      await second.welcome({ retry });
      const resume = await second.subscribed({ position: { epoch: 'e1', seq: 9 }, recovery: 'complete' });
      expect(resume['payload']).toEqual({ position: { epoch: 'e1', seq: 5 } });
      second.send(eventMessage('rooms.1', 6), gap(7, 9, true), eventMessage('rooms.1', 8));
      // Behind the end of the range the next number continues it.
      second.send(eventMessage('rooms.1', 10), gap(11, 12, false), eventMessage('rooms.1', 13));
      await second.sync();
      // 14 was lost on the way, and nobody announced it.
      second.send(eventMessage('rooms.1', 15));

      const third = await script.accept();
      await third.welcome({ retry });
      const again = await third.expectCommand('subscribe');
      expect(again['payload']).toEqual({ position: { epoch: 'e1', seq: 13 } });
      expect(seqs()).toEqual([1, 5, 6, 8, 10, 13]);
      expect(valuesOf('gap')).toEqual([
        expect.objectContaining({ from: 2, to: 9 }),
        expect.objectContaining({ from: 7, to: 9 }),
        expect.objectContaining({ from: 11, to: 12 }),
      ]);
    } finally {
      client.close();
      await script.stop();
    }
  });

  it('stops when the server refuses it, and tells why (P3)', async () => {
    const { client, valuesOf } = start('rooms.1', 'bad');
    await until('the end', () => valuesOf('stopped').length === 1);
    expect(valuesOf('stopped')).toEqual([CLOSE_CODES.unauthorized.code]);
    await expect(client.publish('said', 'late')).rejects.toThrow('never sent');
  });
});
