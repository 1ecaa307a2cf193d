import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Channel, PublicChannel } from '../../../lib/nest/index.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('halls.:hall', { presence: { grace: '1s', maxMembers: 2 } })
class HallsChannel {}

@PublicChannel()
@Channel('rooms.:room', { presence: true })
class RoomsChannel {}

describe.each(PLATFORMS)('the presence option on %s', (_, platform) => {
  let server: TestApp;
  beforeAll(async () => {
    server = await startApp(platform, { providers: [HallsChannel, RoomsChannel] });
  });
  afterAll(() => server?.close());

  async function join(name: string, channel: string) {
    const client = await server.open({ name });
    await client.hello(name, { features: ['presence-count'] });
    return { client, page: (await client.subscribe(channel))['presence'] };
  }

  it('sets from how many members on only the number is sent (P22a, G19)', async () => {
    const { client, page } = await join('ada', 'halls.1');
    expect(page).toMatchObject({ count: 1 });
    await join('bob', 'halls.1');
    expect((await client.take({ type: 'presence' })).payload).toMatchObject({
      join: [{ id: 'bob' }],
      count: 2,
    });
    expect((await join('cid', 'halls.1')).page).toMatchObject({ count: 3, counted: true });
    expect((await client.take({ type: 'presence' })).payload).toEqual({
      epoch: expect.any(String),
      version: 3,
      count: 3,
    });
  });

  it('sends only the number above 200 members by default (P22a, G19)', async () => {
    const people = await Promise.all(
      Array.from({ length: 200 }, (__, index) => join(`u${index}`, 'rooms.1')),
    );
    for (const { page } of people) expect(page).not.toHaveProperty('counted');
    expect((await join('one more', 'rooms.1')).page).toMatchObject({ count: 201, counted: true });
  });
});
