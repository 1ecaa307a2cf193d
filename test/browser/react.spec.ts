import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Locator } from 'playwright-core';
import { userChannel } from '../../lib/protocol/channel-name.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireServer } from '../support/wire/server.js';
import { launchChromium } from './support/chromium.js';
import { bundle, SitePage, startSite } from './support/site.js';

// test/browser/pages/react in Chromium: React 19 under StrictMode, one client for every user of the page.
const BOARD = 'boards.1';
const HTML =
  '<!doctype html><meta charset="utf-8"><title>Boards</title><div id="app"></div><script src="/main.js"></script>';

let browser: Browser;
let script: string;
let server: WireServer;
let site: SitePage;
/** Subscriptions of the board, as the application sees them, and how many there ever were. */
let open: number;
let opened: number;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle('test/browser/pages/react/main.tsx')]);
});

afterAll(() => browser?.close());

beforeEach(async () => {
  open = opened = 0;
  const lines = async ({
    channel,
  }: {
    channel: string;
  }): Promise<{ state: unknown; position: { epoch: string; seq: number } }> => {
    const { events, position } = await server.engine.application.history(channel, { limit: 1_000 });
    const written = events.map(({ user, payload }) => `${user}: ${payload as string}`);
    return { state: { seq: position.seq, lines: written }, position };
  };
  const board = wireChannel('boards.:board', {
    publish: ['written'],
    presence: true,
    behaviour: {
      snapshot: { shareable: true, run: lines },
      onSubscribe: () => {
        opened++;
        open++;
      },
      onUnsubscribe: () => void open--,
    },
  });
  server = await startSite(
    { '/': ['text/html', HTML], '/main.js': ['text/javascript', script] },
    { channels: [board] },
  );
  site = await SitePage.open(browser, new URL('/', server.httpUrl).href);
});

afterEach(async () => {
  await site.close();
  await server.close();
  expect(site.problems).toEqual([]);
});

const write = (text: string, user = 'server') =>
  server.engine.application.publish(BOARD, 'written', text, { user });
const shown = (label: string): Locator => site.page.getByLabel(label, { exact: true });
const press = (name: string): Promise<void> => site.page.getByRole('button', { name }).click();
const logIn = async (name = 'ada'): Promise<void> => {
  await press(`Log in as ${name}`);
  await shown('first').filter({ hasNotText: 'loading' }).waitFor({ state: 'attached' });
};
/** Subscribes to the board on the wire. */
const subscribes = (): number => site.commands('subscribe').filter(({ channel }) => channel === BOARD).length;

async function expectLines(label: string, lines: readonly string[]): Promise<void> {
  // What is shown before the state has come, and of a state without lines, is no line.
  await shown(label).filter({ hasNotText: 'loading' }).waitFor({ state: 'attached' });
  await until(`${label} to show ${lines.length} lines`, async () => {
    const text = await shown(label).textContent();
    return (text === '' ? 0 : text?.split('\n').length) === lines.length;
  });
  expect((await shown(label).textContent())?.split('\n')).toEqual(lines);
}

describe('a page with React', () => {
  it('notices what goes wrong behind it (control)', async () => {
    await site.page.evaluate(() => {
      void Promise.reject(new Error('nobody handles this'));
      console.error('told');
    });
    await until('both', () => site.problems.length === 2);
    expect(site.problems.splice(0).sort()).toEqual(['console: told', 'uncaught: Error: nobody handles this']);
  });

  it('under StrictMode, whose effects run twice, subscribes once', async () => {
    await write('one');
    await logIn();
    await write('two');
    await expectLines('first', ['server: one', 'server: two']);
    expect([subscribes(), opened, open, site.commands('unsubscribe')]).toEqual([1, 1, 1, []]);
  });

  it('that shows another channel leaves the one and subscribes to the other once, on a live connection', async () => {
    await logIn();
    await press('Next board');
    await until('the other board', () => opened === 2 && open === 1);
    await server.engine.application.publish('boards.2', 'written', 'two', { user: 'server' });
    await expectLines('first', ['server: two']);
    const commands = site.sent.flat().filter(({ channel }) => String(channel).startsWith('boards.'));
    expect(commands.map(({ type, channel }) => `${String(type)} ${String(channel)}`).sort()).toEqual([
      'subscribe boards.1',
      'subscribe boards.2',
      'unsubscribe boards.1',
    ]);
  });

  it('with two components on one channel has one subscription, which the last of them ends', async () => {
    await write('one');
    await logIn();
    await press('Show the second');
    await expectLines('second', ['server: one']);
    await write('two');
    for (const label of ['first', 'second']) await expectLines(label, ['server: one', 'server: two']);
    await press('Hide the second');
    await shown('second').waitFor({ state: 'detached' });
    await write('three');
    await expectLines('first', ['server: one', 'server: two', 'server: three']);
    expect([subscribes(), open]).toEqual([1, 1]);
    expect(site.commands('unsubscribe')).toEqual([]);
  });

  it('gives a component that comes late the state of now, and every event behind it', async () => {
    await logIn();
    const lines: string[] = [];
    // While the second is shown, the page is asked between any two lines, so that they come one by one.
    const writeSome = async (): Promise<void> => {
      for (let n = 0; n < 40; n++) {
        lines.push(`server: ${lines.length}`);
        await write(String(lines.length - 1));
        await shown('first').textContent();
      }
    };
    for (let time = 0; time < 4; time++) {
      await Promise.all([writeSome(), press('Show the second')]);
      await expectLines('second', lines);
      await press('Hide the second');
    }
    await expectLines('first', lines);
    expect([subscribes(), site.commands('snapshot').length]).toEqual([1, 4]);
  });

  it('unmounted and mounted again follows the channel again, with what was written in between', async () => {
    await write('one');
    await logIn();
    await press('Log out');
    await until('the end of the subscription', () => open === 0);
    await write('two');
    await logIn();
    await write('three');
    await expectLines('first', ['server: one', 'server: two', 'server: three']);
    expect([subscribes(), open]).toEqual([2, 1]);
  });

  it('after a log-out acts as the second user everywhere, with nothing of the first', async () => {
    const realtime = server.engine.application;
    const members = async () => (await realtime.members(BOARD)).members.map(({ id }) => id);
    await logIn('ada');
    await press('Write');
    await expectLines('first', ['ada: hello']);
    await shown('notices').waitFor({ state: 'attached' });
    await until('ada to follow her own channel', () => site.commands('subscribe').length === 2);
    expect(await members()).toEqual(['ada']);

    await press('Log out');
    await until('ada to have left', async () => (await members()).length === 0);
    await realtime.publish(userChannel('ada'), 'notice', 'for ada');
    await logIn('bob');
    await press('Write');
    await expectLines('first', ['ada: hello', 'bob: hello']);
    expect(await members()).toEqual(['bob']);
    await until('bob to follow his own channel', () => site.commands('subscribe').length === 4);
    await realtime.publish(userChannel('bob'), 'notice', 'for bob');
    await shown('notices').filter({ hasText: 'for bob' }).waitFor();
    expect(await shown('notices').textContent()).toBe('for bob');

    const [ofAda, ofBob] = site.sent;
    expect(site.sent).toHaveLength(2);
    expect(ofAda?.[0]).toMatchObject({ type: 'hello', payload: { token: 'ada' } });
    expect(ofBob?.[0]).toMatchObject({ type: 'hello', payload: { token: 'bob' } });
    expect(ofBob?.[0]?.['payload']).not.toHaveProperty('session');
    expect(JSON.stringify(ofBob)).not.toContain('ada');
    expect(site.received[1]?.join()).not.toContain('for ada');
  });
});
