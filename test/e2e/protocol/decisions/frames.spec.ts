import { afterEach, describe, expect, it } from '@jest/globals';
import { server, start, stop } from './setting.js';

afterEach(stop);

describe('frames and envelopes', () => {
  it('a frame above a limit closes with the code of that limit, before anything in it runs (P4, P4a)', async () => {
    await start({
      settings: { limits: { maxEnvelopesPerFrame: 3, maxMessageBytes: 2_000, maxFrameBytes: 5_000 } },
    });
    const ping = (id: string): string => `{"type":"ping","id":"${id}"}`;
    const frames: [string, number][] = [
      [[ping('1'), ping('2'), ping('3'), ping('4')].join('\n'), 4805],
      [`${ping('1')}\n{"type":"ping","id":"2","meta":{"x":"${'é'.repeat(1_000)}"}}`, 4806],
      ['x'.repeat(5_001), 4806],
      [`${ping('1')}\n{"type":"publish","id":"2","payload":${'['.repeat(129)}${']'.repeat(129)}}`, 4805],
      [`${ping('1')}\nnot json`, 4805],
    ];
    for (const [frame, code] of frames) {
      const client = await server.connect('alice');
      client.send(frame);
      await client.expectClose(code);
      expect(client.pending).toEqual([]);
    }
  });

  it('empty lines are ignored, and each envelope of a batch is answered (P4)', async () => {
    await start({ settings: { limits: { maxEnvelopesPerFrame: 2 } } });
    const client = await server.connect('alice');
    client.send('\n\n{"type":"ping","id":"1"}\n\n\n{"type":"ping","id":"2"}\n');
    expect([(await client.next('pong')).ref, (await client.next('pong')).ref]).toEqual(['1', '2']);
  });

  it('null is a value; each wrong field is named by its path, with the ref if it is readable (P5b, P6b)', async () => {
    await start();
    const client = await server.connect('alice');
    const error = await client.error({
      type: 'subscribe',
      channel: 'rooms.1',
      ts: 'now',
      payload: { position: { epoch: 'e' }, snapshot: null },
    });
    expect(error.code).toBe('bad_request');
    expect(error.details?.map(({ path }) => path)).toEqual([
      'ts',
      'payload.position.seq',
      'payload.snapshot',
    ]);
    client.send({ type: 'ping', id: 7 });
    const answer = await client.next('error');
    expect(answer).not.toHaveProperty('ref');
    client.send('[1,2]');
    expect((await client.next('error')).payload['code']).toBe('bad_request');
  });

  it('unknown fields are ignored (P6a)', async () => {
    await start();
    const client = await server.connect('alice');
    const payload = { later: { a: 1 }, presence: false };
    expect((await client.call({ type: 'subscribe', channel: 'rooms.1', pv: 3, payload })).type).toBe('reply');
  });

  it('own channels are escaped and private; unknown and malformed names have different codes (P23c, P23d)', async () => {
    await start();
    const client = await server.connect('auth0|7');
    await client.subscribe('$user.auth0~7C7');
    await server.engine.application.publish('$user.auth0~7C7', 'notice', { n: 1 });
    expect(await client.next('event')).toMatchObject({ channel: '$user.auth0~7C7', payload: { n: 1 } });
    const code = async (command: Record<string, unknown>): Promise<string> =>
      (await client.error(command)).code;
    expect(await code({ type: 'subscribe', channel: '$user.bob' })).toBe('forbidden');
    expect(await code({ type: 'publish', channel: '$user.auth0~7C7', event: 'notice' })).toBe('forbidden');
    expect(await code({ type: 'subscribe', channel: '$other' })).toBe('unknown_channel');
    expect(await code({ type: 'subscribe', channel: 'rooms' })).toBe('unknown_channel');
    expect(await code({ type: 'subscribe', channel: 'rooms.1.2' })).toBe('unknown_channel');
    for (const channel of ['rooms.', '.rooms', 'rooms.ü', 'rooms 1', `rooms.${'x'.repeat(200)}`]) {
      expect(await code({ type: 'subscribe', channel })).toBe('bad_request');
    }
  });
});
