import { describe, expect, it } from '@jest/globals';
import { sign } from './support/tokens.js';
import { Client, sessionAttacks, streamAttacks } from './session.attacks.js';
import { frame, head, posted, upgrade, type RawSocket } from './support/raw-socket.js';
import { expectUnharmed, Site, useSite } from './support/site.js';
import { nextMessage, openSocket } from './support/socket-attack.js';

const KINDS = [
  ['requests of sessions over HTTP', sessionAttacks],
  ['plain streams', streamAttacks],
] as const;

describe.each(KINDS)('Attacks by %s', (_, attacks) => {
  const site = useSite(() => Site.start());

  it.each(attacks)('$name is answered as documented ($clause) (G22, P20, P21)', async ({ run, answers }) => {
    expect(await run(new Client(site()))).toEqual(answers);
    await site().checkNeighbour();
    expect(site().app.logger.at('error')).toEqual([]);
  });

  expectUnharmed(site, async () => {
    for (const { run } of attacks) await run(new Client(site()));
  });
});

/** The address that the application is shown for a client with these headers. */
async function shownAddress(site: Site, headers: readonly string[]): Promise<string> {
  const socket = await openSocket(site, headers);
  const token = sign({ sub: site.nextUser() });
  socket.write(frame(JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1], token } })));
  socket.write(frame(JSON.stringify({ type: 'request', id: 'a', event: 'whoami' })));
  const answer = await nextMessage(socket, (text) => text.includes('"ref":"a"'));
  socket.destroy();
  return (JSON.parse(answer ?? '{}') as { payload: { ip: string } }).payload.ip;
}

/** Headers that a client writes, and the client's address behind one trusted proxy that appends 203.0.113.7; empty: its own. */
const FORGED: readonly (readonly [lines: readonly string[], trusted: string])[] = [
  [['X-Forwarded-For: 6.6.6.6'], '6.6.6.6'],
  [['X-Forwarded-For: 6.6.6.6, 203.0.113.7'], '203.0.113.7'],
  [['X-Forwarded-For: 127.0.0.1, 203.0.113.7'], '203.0.113.7'],
  [['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
  [['X-Forwarded-For: 6.6.6.6, unknown'], ''],
  [['X-Forwarded-For: <script>'], ''],
  [['X-Forwarded-For: 203.0.113.7:4711'], '203.0.113.7'],
  [['X-Forwarded-For: ::ffff:203.0.113.7'], '203.0.113.7'],
  [['X-Forwarded-For: 999.1.1.1'], ''],
  [['X-Forwarded-For: '], ''],
  [['X-Forwarded-For: ,,,,'], ''],
  [['Forwarded: for=6.6.6.6'], ''],
  [['X-Real-IP: 6.6.6.6'], ''],
  [['True-Client-IP: 6.6.6.6', 'CF-Connecting-IP: 6.6.6.6'], ''],
];

describe('Attacks by headers of a proxy that no proxy wrote', () => {
  const open = useSite(() => Site.start());
  const behind = useSite(() => Site.start({ trustProxy: 1 }));

  it.each(FORGED)('%j does not change the address where no proxy is trusted (P18e, G16)', async (lines) => {
    expect(await shownAddress(open(), lines)).toMatch(/^127\.1\./);
    await open().checkNeighbour();
  });

  it.each(FORGED)(
    '%j gives the address that the one trusted proxy wrote last, or the proxy’s own (P18e, G16)',
    async (lines, trusted) => {
      const shown = await shownAddress(behind(), lines);
      if (trusted === '') expect(shown).toMatch(/^127\.1\./);
      else expect(shown).toBe(trusted);
      await behind().checkNeighbour();
    },
  );

  it('does not take X-Forwarded-Proto of a client for TLS (P18f)', async () => {
    const socket = await openSocket(open(), ['X-Forwarded-Proto: https']);
    socket.destroy();
    expect(open().app.logger.at('error')).toEqual([]);
  });
});

describe('Attacks by clients that are slow', () => {
  const site = useSite(() => Site.start({ helloTimeout: '500ms' }));
  const HALVES: readonly (readonly [name: string, bytes: string, answer: number | undefined])[] = [
    ['a body that does not end', posted('/realtime/poll', '[').replace('Length: 1', 'Length: 100'), 503],
    [
      'chunks that do not end',
      `${head('POST /realtime/poll HTTP/1.1', 'Host: app.example', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}1\r\n[\r\n`,
      503,
    ],
  ];

  it.each(HALVES)('%s is answered when its time is over (P21c, G16)', async (_, bytes, status) => {
    const sockets: RawSocket[] = [];
    for (let n = 0; n < 50; n++) {
      const socket = await site().open();
      socket.write(bytes);
      sockets.push(socket);
    }
    await site().checkNeighbour();
    for (const socket of sockets) expect((await socket.answer())?.status).toBe(status);
    await site().checkNeighbour();
    site().leave();
  });

  it('a WebSocket that says nothing is closed with 4805 when its time is over (P3a)', async () => {
    const sockets: RawSocket[] = [];
    for (let n = 0; n < 50; n++) {
      const socket = await site().open();
      socket.write(upgrade());
      expect((await socket.answer())?.status).toBe(101);
      // One byte of a frame that never comes.
      socket.write(Buffer.from([0x81]));
      sockets.push(socket);
    }
    await site().checkNeighbour();
    for (const socket of sockets) expect((await socket.frame())?.payload.readUInt16BE(0)).toBe(4805);
    site().leave();
    await site().expectRest();
  });

  it('200 heads that do not end leave the others their places (G14)', async () => {
    for (let n = 0; n < 200; n++) (await site().open()).write('GET /realtime HTTP/1.1\r\nHost: app.ex');
    await site().checkNeighbour();
    expect(site().engine.status.sessions).toBe(1);
    site().leave();
  });
});
