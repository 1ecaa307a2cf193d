import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeAdminModule } from '../../../../lib/admin/index.js';
import { Authorize, Channel, Snapshot, OnSubscribe, OnUnsubscribe } from '../../../../lib/nest/index.js';
import { RealtimeService } from '../../../../lib/nest/realtime.service.js';
import { patience } from '../../../support/patience.js';
import { until } from '../../../support/until.js';
import { PLATFORMS } from '../support/nest-app.js';
import { StaffGuard, startAdmin, type AdminApp } from './support.js';

/** Nobody may, and everybody who is asked is counted. */
let asked: string[] = [];
@Channel('vaults.:vault', { history: { size: 100 }, presence: true })
class Vaults {
  @Authorize('subscribe', 'history', 'presence')
  may(): boolean {
    asked.push('authorize');
    return false;
  }
  @Snapshot()
  snapshot(): object {
    asked.push('snapshot');
    return {};
  }
  @OnSubscribe()
  came(): void {
    asked.push('subscribe');
  }
  @OnUnsubscribe()
  left(): void {
    asked.push('unsubscribe');
  }
}

interface Message {
  readonly type: string;
  readonly event?: string;
  readonly channel?: string;
  readonly payload?: { readonly [name: string]: unknown };
}

/** Reads a stream as the page does. */
async function follow(app: AdminApp, path: string, as = 'administer', headers: Record<string, string> = {}) {
  const ended = new AbortController();
  const response = await fetch(`http://127.0.0.1:${app.port}/realtime-admin/dashboard/${path}`, {
    headers: { ...(as === '' ? {} : { authorization: `Bearer ${as}` }), ...headers },
    signal: ended.signal,
  });
  const messages: Message[] = [];
  const ids: string[] = [];
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += Buffer.from(chunk).toString();
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined) messages.push(JSON.parse(data) as Message);
        const id = /^id: (.*)$/m.exec(block)?.[1];
        if (id !== undefined) ids.push(id);
      }
    }
  };
  const done =
    response.headers.get('content-type')?.startsWith('text/event-stream') === true
      ? read().catch(() => undefined)
      : undefined;
  return { response, messages, ids, done, end: () => ended.abort() };
}

describe('the option dashboard', () => {
  const good = { guards: [StaffGuard], authorityOf: () => undefined, by: () => 'ada' };
  it.each([['yes'], [{ guardPage: 'yes' }], [{ path: 'x' }], [null]])('refuses %j at boot', (dashboard) => {
    expect(() => RealtimeAdminModule.forRoot({ ...good, dashboard } as never)).toThrow(
      /RealtimeAdminModule: dashboard: .+ Write dashboard: true/,
    );
  });
});

describe.each(PLATFORMS)('the dashboard, on %s', (_name, platform) => {
  let app: AdminApp;
  const ends: (() => void)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) end();
    await app.close();
    asked = [];
  });
  async function open(path: string, as?: string, headers?: Record<string, string>) {
    const stream = await follow(app, path, as, headers);
    ends.push(stream.end);
    return stream;
  }
  const file = (path: string, as = '') =>
    fetch(`http://127.0.0.1:${app.port}/realtime-admin/dashboard${path}`, {
      headers: as === '' ? {} : { authorization: `Bearer ${as}` },
    });

  it('is not there where it is not asked for', async () => {
    app = await startAdmin(platform);
    expect((await file('', 'administer')).status).toBe(404);
    expect((await file('/readings', 'administer')).status).toBe(404);
  });

  it('sends the page and its files, under a policy that runs nothing else, and no other file', async () => {
    app = await startAdmin(platform, { dashboard: true });
    for (const [path, type] of [
      ['', 'text/html'],
      ['/style.css', 'text/css'],
      ['/uPlot.esm.js', 'text/javascript'],
      ['/uPlot.min.css', 'text/css'],
      ['/icon.svg', 'image/svg+xml'],
    ] as const) {
      const { status, headers } = await file(path);
      expect([path, status, headers.get('content-type')?.split(';')[0]]).toEqual([path, 200, type]);
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; /);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
    for (const path of ['/assets.js', '/..%2fassets.js', '/page', '/app.ts', '/constructor'])
      expect([path, (await file(path)).status]).toEqual([path, 404]);
  });

  it('keeps the page itself behind the guards where that is asked for', async () => {
    app = await startAdmin(platform, { dashboard: { guardPage: true } });
    for (const path of ['', '/style.css']) {
      expect((await file(path)).status).toBe(401);
      expect((await file(path, 'nothing')).status).toBe(403);
      expect((await file(path, 'read')).status).toBe(200);
    }
  });

  it.each([
    ['readings', '', 401],
    ['readings', 'nothing', 403],
    ['tap?channel=vaults.1', '', 401],
    ['tap?channel=vaults.1', 'read', 403],
    ['tap', 'moderate', 400],
    ['tap?channel=vaults.:vault', 'moderate', 400],
    ['tap?channel=nowhere', 'moderate', 404],
    ['tap?channel=vaults.1&more=1', 'moderate', 400],
  ])('answers %s as %j with %i', async (path, as, status) => {
    app = await startAdmin(platform, { dashboard: true, providers: [Vaults] });
    const { response } = await open(path, as);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { error: { code: string } }).error.code).toBeTruthy();
  });

  it('sends what all nodes count, each second, while somebody looks, and asks nobody otherwise', async () => {
    app = await startAdmin(platform, { dashboard: true });
    await app.connect('ada');
    const [one, other] = [await open('readings', 'read'), await open('readings', 'read')];
    const counted = () => one.messages.filter(({ event }) => event === 'readings');
    await until(
      'two readings to come',
      () => counted().length >= 2 && other.messages.length >= 3,
      patience(5_000),
    );
    expect(counted()[0]?.payload).toMatchObject({
      nodes: [
        {
          readings: {
            broker_up: 1,
            draining: 0,
            rss_bytes: expect.any(Number),
            loop_delay_ms: expect.any(Number),
          },
        },
      ],
      missing: [],
    });
    const { nodes } = counted()[1]?.payload as { nodes: { readings: Record<string, number> }[] };
    // What is sent to those who look is not counted.
    expect(nodes[0]?.readings).toMatchObject({ sessions: 3, delivered_total: 0 });
    expect(Object.keys(nodes[0]?.readings ?? {})).not.toContain('published:ok');
    const [{ channel }] = one.messages as [Message];
    const seq = async () =>
      (
        await app.app
          .get(RealtimeService)
          .channel(channel as string)
          .history({ limit: 1 })
      ).position.seq;
    one.end();
    const before = await seq();
    await until('the other to get more', async () => (await seq()) > before, patience(5_000));
    other.end();
    await until(
      'nobody to look',
      async () => (await app.get('connections/count')).body.count === 1,
      patience(5_000),
    );
  });

  it('counts why connections end and what is refused, by words of the library', async () => {
    app = await startAdmin(platform, {
      dashboard: true,
      realtime: { limits: { ratePerSecond: 1, burst: 5 } },
    });
    const client = await app.connect('ada');
    for (let number = 0; number < 12; number++)
      client.send({ type: 'history', id: `s${number}`, channel: 'rooms.1', payload: {} });
    await until(
      'it to be refused',
      () =>
        client.received.some(
          ({ payload }) => (payload as { code?: string } | undefined)?.code === 'rate_limited',
        ),
      patience(5_000),
    );
    await app.post('connections/disconnect', { user: 'ada' });
    await fetch(`http://127.0.0.1:${app.port}/realtime/sse?channels=rooms.1`, {
      headers: { authorization: 'Bearer bad' },
    });
    const readings = async () =>
      (await app.get('nodes/readings')).body.nodes[0].readings as Record<string, number>;
    await until('them to be counted', async () => (await readings())['closed:kicked'] === 1, patience(5_000));
    const own = (await app.get('nodes/readings?own=true')).body.nodes[0].readings as Record<string, number>;
    expect(own['refused:rate']).toBeGreaterThan(0);
    expect(Object.entries(own).filter(([name]) => name.startsWith('refused:upgrade'))).toHaveLength(1);
  });

  it('answers no page of another site, and records nothing in the name of who looks at it', async () => {
    app = await startAdmin(platform, { dashboard: { guardPage: true }, providers: [Vaults] });
    const { port } = app;
    const ask = async (path: string, site: string) => {
      const headers = { authorization: 'Bearer administer', 'sec-fetch-site': site };
      const ended = new AbortController();
      const url = `http://127.0.0.1:${port}/realtime-admin/${path}`;
      const { status } = await fetch(url, { headers, signal: ended.signal });
      ended.abort();
      return status;
    };
    const paths = ['dashboard/tap?channel=vaults.1', 'channels/history?channel=vaults.1', 'audit', 'nodes'];
    for (const path of paths) expect([path, await ask(path, 'cross-site')]).toEqual([path, 403]);
    expect((await app.get('audit')).body.entries).toEqual([]);
    for (const site of ['same-origin', 'none']) expect(await ask('nodes', site)).toBe(200);
    expect(await ask('dashboard', 'cross-site')).toBe(200);
  });

  it('taps a channel that nobody may subscribe to: its application is not asked, and does not notice; the audit does', async () => {
    app = await startAdmin(platform, { dashboard: true, providers: [Vaults] });
    const realtime = app.app.get(RealtimeService);
    await realtime.channel('vaults.1').publish('opened', { by: 'eve' });
    const tap = await open('tap?channel=vaults.1', 'moderate');
    await until(
      'it to be open',
      () => tap.messages.some(({ type }) => type === 'subscribed'),
      patience(5_000),
    );
    await realtime.channel('vaults.1').publish('closed', { by: 'eve' });
    await until(
      'the event to come',
      () => tap.messages.some(({ event }) => event === 'closed'),
      patience(5_000),
    );
    expect(tap.messages.some(({ event }) => event === 'opened')).toBe(false);
    // It comes back where it stopped.
    const again = await open('tap?channel=vaults.1', 'moderate', { 'last-event-id': tap.ids[0] as string });
    await until(
      'what was missed to come',
      () => again.messages.some(({ event }) => event === 'closed'),
      patience(5_000),
    );
    expect(await realtime.channel('vaults.1').members()).toMatchObject({ members: [], count: 0 });
    await realtime.reauthorize({ channel: 'vaults.1' });
    await realtime.channel('vaults.1').publish('moved', {});
    await until('it to go on', () => tap.messages.some(({ event }) => event === 'moved'), patience(5_000));
    tap.end();
    again.end();
    await until(
      'nobody to look',
      async () => (await app.get('connections/count')).body.count === 0,
      patience(5_000),
    );
    expect(asked).toEqual([]);
    expect((await app.get('audit?act=tap')).body.entries).toMatchObject([
      { act: 'tap', by: 'staff:moderate', channel: 'vaults.1', result: 'applied' },
      { act: 'tap', by: 'staff:moderate', channel: 'vaults.1', result: 'applied' },
    ]);
  });

  it('lets no client subscribe to what those who look are sent, whatever it calls itself', async () => {
    app = await startAdmin(platform, { dashboard: true });
    const stream = await open('readings', 'read');
    await until('it to be open', () => stream.messages.length > 0, patience(5_000));
    const [{ channel }] = stream.messages as [Message];
    const { sessions } = (await app.get('connections')).body as { sessions: readonly { user: string }[] };
    for (const user of ['ada', sessions[0]?.user as string]) {
      const client = await app.connect(user);
      expect(await client.call({ type: 'subscribe', channel })).toMatchObject({
        type: 'error',
        payload: { code: 'forbidden' },
      });
      expect(await client.call({ type: 'history', channel, payload: {} })).toMatchObject({ type: 'error' });
    }
  });
});
