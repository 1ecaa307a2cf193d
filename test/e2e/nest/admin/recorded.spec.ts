import { afterEach, describe, expect, it } from '@jest/globals';
import { PLATFORMS } from '../support/nest-app.js';
import { startAdmin, type AdminApp } from './support.js';

describe.each(PLATFORMS)('what the admin API records, on %s', (_name, platform) => {
  let app: AdminApp;
  afterEach(() => app.close());

  const entriesOf = async (act: string): Promise<readonly Record<string, unknown>[]> =>
    (await app.get(`audit?act=${act}`)).body.entries as Record<string, unknown>[];

  it('has an entry for each publish and one for a batch, with the ids and without the payloads (G23, G26)', async () => {
    app = await startAdmin(platform);
    const event = (id: string, channel = 'rooms.1') => ({
      channel,
      event: 'said',
      id,
      payload: 'secret-of-a-user',
    });
    await app.post('publish', { ...event('one'), user: 'ada', meta: { note: 'secret-of-a-user' } });
    const events = [event('one'), event('two'), event('three', 'halls.1')];
    await app.post('publish/batch', { events });
    const refused = await app.post('publish', event('four', 'halls.1'));
    expect([refused.status, refused.body.error.code]).toEqual([404, 'unknown_channel']);
    const entries = await entriesOf('publish');
    expect(entries.map(({ id: _id, ts: _ts, node: _node, ...entry }) => entry)).toEqual([
      {
        act: 'publish',
        by: 'staff:administer',
        channel: 'halls.1',
        result: 'failed',
        error: 'unknown_channel',
        data: { event: 'said', id: 'four' },
      },
      {
        act: 'publish',
        by: 'staff:administer',
        result: 'partial',
        error: 'conflict',
        data: {
          events: 3,
          failed: 2,
          duplicates: 0,
          ids: ['one', 'two', 'three'],
          channels: ['rooms.1', 'halls.1'],
        },
      },
      {
        act: 'publish',
        by: 'staff:administer',
        channel: 'rooms.1',
        result: 'applied',
        data: { event: 'said', id: 'one', user: 'ada', epoch: expect.any(String), seq: 1, duplicate: false },
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain('secret-of-a-user');
  });

  it('has an entry for who read the messages of a channel, and one for who read the audit (G26)', async () => {
    app = await startAdmin(platform);
    await app.post('publish', { channel: 'rooms.1', event: 'said' });
    for (const limit of [1, 2]) await app.get(`channels/history?channel=rooms.1&limit=${limit}`, 'moderate');
    await app.get('channels/history?channel=rooms.2', 'moderate');
    await app.get('channels/history?channel=rooms.1');
    // What is refused reads nothing, and what has no messages in it is no reading of them.
    await app.get('channels/history?channel=halls.1', 'moderate');
    await app.get('channels/history?channel=rooms.3', 'read');
    for (const path of ['connections', 'channels', 'channels/one?channel=rooms.1', 'nodes', 'limits'])
      await app.get(path);
    expect((await entriesOf('read_history')).map(({ by, channel }) => [by, channel])).toEqual([
      ['staff:administer', 'rooms.1'],
      ['staff:moderate', 'rooms.2'],
      ['staff:moderate', 'rooms.1'],
    ]);
    // The list is made before it is recorded that it was read, and once in a minute.
    expect((await entriesOf('read_audit')).map(({ by }) => by)).toEqual(['staff:administer']);
    const { entries } = (await app.get('audit')).body;
    expect(entries.map(({ act }: { act: string }) => act).sort()).toEqual([
      'authorize',
      'publish',
      'read_audit',
      'read_history',
      'read_history',
      'read_history',
    ]);
  });

  it('has no more of callers without the authority than of clients: the entries of others stay (G26)', async () => {
    app = await startAdmin(platform);
    await app.post('ban', { user: 'eve', reason: 'abuse' });
    for (let time = 0; time < 8; time++) {
      const { status } = await app.post('ban', { user: 'ada', reason: 'revenge' }, 'nobody');
      expect(status).toBe(403);
    }
    await app.get('audit', 'read');
    const refused = await entriesOf('authorize');
    expect(refused.map(({ by }) => by)).toEqual(['staff:read', ...Array<string>(5).fill('staff:nobody')]);
    expect(refused.at(-1)).toMatchObject({ result: 'refused', error: 'forbidden', data: { route: 'ban' } });
    expect(await entriesOf('ban')).toHaveLength(1);
  });

  it('counts what the node refused since it started, by kind', async () => {
    app = await startAdmin(platform, { realtime: { limits: { maxChannels: 1 } } });
    expect((await app.get('limits')).body.refusals).toEqual({});
    const ada = await app.connect('ada');
    await ada.subscribe('rooms.1');
    for (let time = 0; time < 2; time++)
      await ada.error({ type: 'subscribe', channel: 'rooms.2', payload: {} });
    await ada.error({ type: 'publish', channel: 'halls.1', event: 'said' });
    const bad = await app.open();
    bad.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'bad' } });
    await bad.expectClose(4801);
    expect((await app.get('limits')).body.refusals).toEqual({
      'command.too_many_channels': 2,
      'command.unknown_channel': 1,
      'hello.unauthorized': 1,
    });
  });
});
