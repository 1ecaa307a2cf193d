import { afterEach, describe, expect, it } from '@jest/globals';
import { Harness } from './harness.js';

let harness: Harness | undefined;

afterEach(() => harness?.stop());

const start = async (token: () => string): Promise<Harness> => (harness = await Harness.start({ token }));

describe('a token that expired', () => {
  const messages = (h: Harness): unknown[] => h.errors.map(({ error }) => (error as Error).message);
  const SAME = 'The option "token" gave the same expired token again: fetch a new one';

  it('is reported from the second time on when the option "token" gives it again (P19a)', async () => {
    const h = await start(() => 'old');
    (await h.live()).close(4008, 'token_expired|0');
    (await h.back()).close(4008, 'token_expired|0');
    (await h.again()).close(4008, 'token_expired|0');
    await h.state('waiting');
    expect(messages(h)).toEqual([SAME, SAME]);
    expect(h.errors[0]?.context.source).toBe('token');
  });

  it('is no fault when the next one is new, nor for the next user', async () => {
    let tokens = 0;
    const h = await start(() => `t${++tokens}`);
    (await h.live()).close(4008, 'token_expired|0');
    (await h.back()).close(4008, 'token_expired|0');
    await h.state('waiting');
    tokens = 1;
    await h.client.close();
    (await h.live()).close(4008, 'token_expired|0');
    await h.state('waiting');
    expect(messages(h)).toEqual([]);
  });
});

describe('what a client tells about a WebSocket that a proxy refuses', () => {
  it('names the proxy and the fallback, and not the codec, which is the default', async () => {
    const h = (harness = await Harness.start());
    h.server.refuse = () => ({ status: 426 });
    h.server.answer = () => ({ status: 426, headers: {}, body: '' });
    void h.client.connect().catch(() => undefined);
    await h.state('waiting');
    expect(h.client.status.reason).toBe(
      'The server is there, but no WebSocket opens: let the proxy pass Upgrade on, or use fallback: httpFallback()',
    );
  });

  it('waits a whole number of milliseconds', async () => {
    const h = (harness = await Harness.start());
    h.random = 0.123456789;
    (await h.live()).terminate();
    await h.state('waiting');
    expect(h.client.status.delayMs).toBe(247);
  });
});

describe('the log about a subscribe', () => {
  it('has one warning when it is refused, and none when its connection is lost', async () => {
    const lines: string[] = [];
    const h = (harness = await Harness.start({
      log: (level, message) => {
        if (message.includes('rooms.')) lines.push(`${level} ${message}`);
      },
    }));
    const connection = await h.live();
    const refused = h.client.channel('rooms.9').subscribe();
    connection.error(await connection.expectCommand('subscribe'), 'forbidden', { message: 'Not you' });
    await expect(refused).rejects.toThrow('Not you');
    expect(lines).toEqual(['warn rooms.9 is not subscribed: Not you']);
    void h.client
      .channel('rooms.42')
      .subscribe()
      .catch(() => undefined);
    await connection.expectCommand('subscribe');
    connection.terminate();
    await h.state('waiting');
    expect(lines).toHaveLength(1);
  });
});
