import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { ChatPage } from './support/chat.page.js';
import { ChatServer } from './support/chat.server.js';
import { launchChromium } from './support/chromium.js';

const artifacts = fileURLToPath(new URL('../../test-artifacts/', import.meta.url));
const PASSWORD = 'correct horse';
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

let browser: Browser;
let server: ChatServer;
let pages: ChatPage[] = [];
let rooms = 0;

beforeAll(async () => {
  [browser, server] = await Promise.all([
    launchChromium(),
    ChatServer.start({ env: { MODERATOR_PASSWORD: PASSWORD } }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async () => {
  const closing = pages;
  pages = [];
  await Promise.all(closing.map((page) => page.close()));
  // Whatever a test is about: a page of a healthy chat has nothing to complain of.
  expect(closing.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`))).toEqual(
    [],
  );
});

async function open(name: string, options: BrowserContextOptions = DESKTOP): Promise<ChatPage> {
  const page = await ChatPage.open(browser, server.url, name, options);
  pages.push(page);
  return page;
}

async function logIn(name: string, options?: BrowserContextOptions): Promise<ChatPage> {
  const page = await open(name, options);
  await page.logIn();
  return page;
}

/** Ada in a room of her own, and Grace in it. */
async function adaAndGrace(
  title = `Room ${++rooms}`,
): Promise<{ ada: ChatPage; grace: ChatPage; title: string }> {
  const [ada, grace] = await Promise.all([logIn('Ada'), logIn('Grace')]);
  await ada.create(title);
  // Grace's lobby is told of it.
  await grace.enter(title);
  await ada.person('grace').waitFor();
  return { ada, grace, title };
}

describe('the sample chat in a browser', () => {
  it('shows messages with their authors', async () => {
    const { ada, grace } = await adaAndGrace();
    await ada.say('Hello Grace');
    await grace.message('Hello Grace').waitFor();
    await grace.say('Hello Ada');
    await ada.message('Hello Ada').waitFor();
    expect(await ada.texts()).toEqual(['Hello Grace', 'Hello Ada']);
    expect(await grace.texts()).toEqual(['Hello Grace', 'Hello Ada']);
    expect(await ada.page.locator('.message.own .text').allTextContents()).toEqual(['Hello Grace']);
    expect(await grace.message('Hello Grace').locator('.author').textContent()).toBe('Ada');
    expect(await grace.page.locator('.new-day > .day').allTextContents()).toEqual(['Today']);
  });

  it('shows who is present, and several devices of a user as one person (G19)', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await grace.person('ada').filter({ hasText: 'owner' }).waitFor();
    const phone = await open('Ada’s phone', PHONE);
    await phone.logIn('ada');
    await phone.enter(title);
    await grace.person('ada').filter({ hasText: '2 devices' }).waitFor();
    expect(await grace.page.locator('#people li').count()).toBe(2);
    await phone.page.getByRole('button', { name: 'Sign out' }).click();
    await grace.person('ada').filter({ hasNotText: '2 devices' }).waitFor();
    await ada.page.getByRole('button', { name: 'Sign out' }).click();
    await grace.person('ada').waitFor({ state: 'detached' });
  });

  it('shows who is typing, until they stop', async () => {
    const { ada, grace } = await adaAndGrace();
    await grace.input.pressSequentially('Well');
    await ada.page.getByText('Grace is typing').waitFor();
    // It expires by itself: nobody tells the end of it.
    await ada.page.locator('#typing:empty').waitFor({ state: 'attached' });
    await grace.input.pressSequentially(', so');
    await ada.page.getByText('Grace is typing').waitFor();
    await grace.page.getByRole('button', { name: 'Send' }).click();
    await ada.message('Well, so').waitFor();
    await ada.page.locator('#typing:empty').waitFor({ state: 'attached' });
  });

  it('shows what was missed while the connection was cut: all of it, once and in order (G3)', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await grace.say('Before');
    await ada.message('Before').waitFor();
    await ada.cut();
    await grace.say('One', 'Two', 'Three');
    await grace.message('Three').waitFor();
    expect(await ada.texts()).toEqual(['Before']);
    expect(await ada.page.locator('#connection').textContent()).toMatch(/^Waiting/);
    await ada.restore();
    await ada.activity(`“${title}” resumed: 3 missed events`).waitFor();
    expect(await ada.texts()).toEqual(['Before', 'One', 'Two', 'Three']);
    await grace.say('Live again');
    await ada.message('Live again').waitFor();
    expect(await ada.texts()).toEqual(['Before', 'One', 'Two', 'Three', 'Live again']);
    expect(await ada.activity('resumed').count()).toBe(1);
  });

  it.each([
    ['Event stream', 'sse'],
    ['Long-poll', 'polling'],
  ])(
    'is the same over another transport: %s, and shows which one is live (P21)',
    async (label, transport) => {
      const { ada, grace, title } = await adaAndGrace();
      await ada.page.locator('#connection[data-transport="websocket"]').waitFor();
      await ada.page.getByLabel('Transport').selectOption({ label });
      await ada.page.locator(`#connection[data-transport="${transport}"]`).waitFor();
      await ada.isIn(title);
      expect(await ada.page.locator('#connection').textContent()).toBe(`Live: ${label}`);
      await grace.say('Do you hear me?');
      await ada.message('Do you hear me?').waitFor();
      await ada.say('As before');
      await grace.message('As before').waitFor();
      await ada.cut();
      await grace.say('Missed');
      await grace.message('Missed').waitFor();
      await ada.restore();
      await ada.message('Missed').waitFor();
      expect(await ada.texts()).toEqual(['Do you hear me?', 'As before', 'Missed']);
    },
  );

  it('sends what was written while the connection was cut, once (G4)', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await ada.cut();
    await ada.say('Written in a tunnel', 'And this');
    await ada.pending('Written in a tunnel').waitFor();
    await ada.pending('And this').waitFor();
    await ada.restore();
    await grace.message('And this').waitFor();
    await ada.activity(`“${title}” resumed`).waitFor();
    await ada.message('And this').waitFor();
    for (const page of [ada, grace]) expect(await page.texts()).toEqual(['Written in a tunnel', 'And this']);
    expect(await ada.page.locator('.pending').count()).toBe(0);
  });

  it('shows neither leave nor join on a short disconnect (G19)', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await grace.page.evaluate(() => {
      const list = document.getElementById('people') as HTMLElement;
      const everybody = (): string => [...list.children].map((item) => item.getAttribute('data-user')).join();
      const seen = new Set([everybody()]);
      new MutationObserver(() => seen.add(everybody())).observe(list, { childList: true });
      (window as unknown as { seen: Set<string> }).seen = seen;
    });
    await ada.cut();
    await ada.restore();
    await ada.activity(`“${title}” resumed: nothing was missed`).waitFor();
    await ada.say('Still here');
    await grace.message('Still here').waitFor();
    const seen = await grace.page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
    expect(seen).toEqual(['grace,ada']);
  });

  it('shows the history and the own name after a reload', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await ada.say('First', 'Second');
    await grace.say('Third');
    await ada.message('Third').waitFor();
    await grace.message('Second').waitFor();
    const before = await ada.texts();
    await ada.page.reload();
    await ada.isIn(title);
    await ada.message('Third').waitFor();
    expect(await ada.texts()).toEqual(before);
    expect(await ada.page.locator('.message.own').count()).toBe(2);
    expect(await ada.page.locator('#room-owner').textContent()).toBe('Your room');
  });

  it('loads long histories page by page', async () => {
    const { ada, title } = await adaAndGrace();
    const texts = Array.from({ length: 60 }, (_, n) => `Message ${n + 1}`);
    await ada.say(...texts);
    await ada.message('Message 60').waitFor();
    await ada.page.locator('.pending').first().waitFor({ state: 'detached' });
    await ada.page.reload();
    await ada.isIn(title);
    await ada.message('Message 60').waitFor();
    expect(await ada.texts()).toEqual(texts.slice(10));
    await ada.page.getByRole('button', { name: 'Earlier messages' }).click();
    await ada.page.getByRole('button', { name: 'Earlier messages' }).waitFor({ state: 'hidden' });
    expect(await ada.texts()).toEqual(texts);
  });

  it('shows a refusal of the server next to the input, and keeps the text', async () => {
    const { ada, grace } = await adaAndGrace();
    const tooLong = 'o'.repeat(501);
    await ada.say(tooLong);
    await ada.page.getByRole('alert').filter({ hasText: 'Text must have 1 to 500 characters' }).waitFor();
    expect(await ada.input.inputValue()).toBe(tooLong);
    expect(await ada.input.getAttribute('aria-invalid')).toBe('true');
    expect(await ada.texts()).toEqual([]);
    await ada.say('Shorter');
    await grace.message('Shorter').waitFor();
    expect(await grace.texts()).toEqual(['Shorter']);
    expect(await ada.page.locator('#text-error').textContent()).toBe('');
  });

  it('shows messages as text, never as markup', async () => {
    const { ada, grace } = await adaAndGrace();
    const hostile = '<img src=x onerror="window.hacked = true"><script>window.hacked = true</script>';
    await grace.say(hostile);
    await ada.message('<img').waitFor();
    expect(await ada.texts()).toEqual([hostile]);
    expect(await ada.page.evaluate(() => 'hacked' in window)).toBe(false);
    expect(await ada.page.locator('#messages img').count()).toBe(0);
  });

  it('lets the owner mute and unmute a user', async () => {
    const { ada, grace } = await adaAndGrace();
    await ada.page.getByRole('button', { name: 'Mute Grace' }).click();
    await grace.page.getByText('Ada muted Grace').waitFor();
    await grace.say('Let me speak');
    await grace.page
      .getByRole('alert')
      .filter({ hasText: /^You are muted until \d\d:\d\d$/ })
      .waitFor();
    expect(await grace.input.inputValue()).toBe('Let me speak');
    await grace.restraint(/^You are muted until \d\d:\d\d\. You can read, but not write\.$/).waitFor();
    expect(await ada.page.locator('#restraint').isHidden()).toBe(true);
    await ada.person('grace').filter({ hasText: 'muted' }).waitFor();
    await ada.page.getByRole('button', { name: 'Unmute Grace' }).click();
    await grace.page.getByText('Ada unmuted Grace').waitFor();
    await grace.page.locator('#restraint').waitFor({ state: 'hidden' });
    await grace.say('Thank you');
    await ada.message('Thank you').waitFor();
    expect(await ada.texts()).toEqual(['Thank you']);
    expect(await grace.page.getByRole('button', { name: /^(Mute|Remove|Ban)/ }).count()).toBe(0);
  });

  it('lets the owner remove a user at once, for a limited time (G11)', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await ada.page.getByRole('button', { name: 'Remove Grace from the room' }).click();
    await grace.page
      .locator('#notice')
      .filter({ hasText: `Ada removed you from “${title}”` })
      .waitFor();
    await ada.person('grace').waitFor({ state: 'detached' });
    await ada.page.getByText('Ada removed Grace').waitFor();
    await ada.say('Peace');
    await ada.message('Peace').waitFor();
    await grace.page.getByRole('link', { name: title }).click();
    await grace.page
      .locator('#notice')
      .filter({ hasText: 'you were removed from this room. Try again in 5 min' })
      .waitFor();
    expect(await grace.texts()).not.toContain('Peace');
    // The rest of the chat is still hers.
    await grace.enter('Lounge');
  });

  it('lets the owner ban a user from the room, and slow the others', async () => {
    const { ada, grace, title } = await adaAndGrace();
    expect(await grace.page.getByLabel('Slow mode').isHidden()).toBe(true);
    await ada.page.getByLabel('Slow mode').selectOption({ label: '1 min' });
    await grace.restraint(/^Slow mode: one message in 1 min$/).waitFor();
    await grace.say('One');
    await ada.message('One').waitFor();
    await grace.say('Two');
    await grace.page
      .getByRole('alert')
      .filter({ hasText: /^Slow mode: write again in (1 min|\d+ s)$/ })
      .waitFor();
    expect(await grace.input.inputValue()).toBe('Two');
    await ada.page.getByLabel('Slow mode').selectOption({ label: 'Off' });
    await grace.page.locator('#restraint').waitFor({ state: 'hidden' });
    await ada.page.getByRole('button', { name: 'Ban Grace from the room' }).click();
    await grace.page
      .locator('#notice')
      .filter({ hasText: `Ada removed you from “${title}”` })
      .waitFor();
    await ada.page.getByText('Ada banned Grace for a day').waitFor();
    await grace.enter('Lounge');
  });

  it('lets the moderator, who has a password, mute and delete in every room', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await grace.say('Something rude');
    await ada.message('Something rude').waitFor();
    const staff = await open('Moderator');
    await staff.page.getByLabel('Your name').fill('Moderator');
    await staff.page.getByRole('button', { name: 'Join' }).click();
    await staff.page.getByRole('alert').filter({ hasText: 'This name needs its password' }).waitFor();
    // The one failed request that is wanted.
    expect(staff.problems.splice(0)).toEqual([
      expect.stringMatching(/^401: .*\/login$/),
      expect.stringMatching(/^console: .*401/),
    ]);
    await staff.page.getByLabel('Password').fill(PASSWORD);
    await staff.logIn();
    await staff.enter(title);
    await staff.message('Something rude').hover();
    await staff.message('Something rude').getByRole('button', { name: 'Delete this message' }).click();
    for (const page of [ada, grace, staff]) {
      await page.page.locator('.note.erased').waitFor();
      expect(await page.texts()).toEqual([]);
    }
    await staff.page.getByRole('button', { name: 'Mute Grace' }).click();
    await grace.restraint(/^You are muted until/).waitFor();
    // Nobody does that to the moderator.
    expect(await ada.page.getByRole('button', { name: 'Mute Moderator' }).count()).toBe(0);
  });

  it('shows a mute that no room has told it of, once a message is refused', async () => {
    const grace = await logIn('Grace');
    await grace.enter('Lounge');
    const login = await fetch(`${server.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'moderator', password: PASSWORD }),
    });
    const { token } = (await login.json()) as { token: string };
    const act = async (path: string, body: object): Promise<number> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const url = `${server.url}/realtime-admin/${path}`;
      return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status;
    };
    expect(await act('mute', { user: 'grace', for: '2h' })).toBe(200);
    await grace.say('Is this heard?');
    await grace.restraint(/^You are muted until \d\d:\d\d/).waitFor();
    expect(await grace.input.inputValue()).toBe('Is this heard?');
    expect(await act('unmute', { user: 'grace' })).toBe(200);
  });

  it('shows why the server closed the connection, and reconnects on request', async () => {
    const ada = await open('Ada');
    // Stands in for an operator who disconnects somebody: the sample itself never does.
    let kick = (): void => undefined;
    await ada.page.routeWebSocket('**/realtime', (socket) => {
      socket.connectToServer();
      kick = () => void socket.close({ code: 4811, reason: 'kicked|0' });
    });
    await ada.logIn();
    await ada.enter('Lounge');
    kick();
    const status = ada.page.locator('#connection[data-state="closed"]');
    await status.filter({ hasText: 'Closed: you were disconnected by a moderator' }).waitFor();
    await ada.page.getByRole('button', { name: 'Connect' }).click();
    await ada.isLive();
    await ada.activity('“Lounge” resumed: nothing was missed').waitFor();
  });

  it('lets only the author and the owner delete a message', async () => {
    const { ada, grace, title } = await adaAndGrace();
    await ada.say('From the owner');
    await grace.message('From the owner').waitFor();
    await grace.say('From a guest', 'Second thoughts');
    await ada.message('Second thoughts').waitFor();
    const remove = (page: ChatPage, text: string) =>
      page.message(text).getByRole('button', { name: 'Delete this message' });
    expect(await remove(grace, 'From the owner').count()).toBe(0);
    await grace.message('Second thoughts').hover();
    await remove(grace, 'Second thoughts').click();
    await ada.message('From a guest').hover();
    await remove(ada, 'From a guest').click();
    const erased = (page: ChatPage) =>
      page.page.locator('.note.erased').filter({ hasText: 'A message was deleted' });
    for (const page of [ada, grace]) {
      await erased(page).nth(1).waitFor();
      expect(await page.texts()).toEqual(['From the owner']);
    }
    // The log has only the places.
    await grace.page.reload();
    await grace.isIn(title);
    await erased(grace).nth(1).waitFor();
    expect(await grace.texts()).toEqual(['From the owner']);
    expect(await erased(grace).count()).toBe(2);
    expect(await grace.page.content()).not.toContain('Second thoughts');
  });

  it('refuses an invalid name with a readable message', async () => {
    const page = await open('Nobody');
    await page.page.getByLabel('Your name').fill('   ???');
    await page.page.getByRole('button', { name: 'Join' }).click();
    await page.page.getByRole('alert').filter({ hasText: 'Name must be 1 to 24 letters' }).waitFor();
    // The one failed request that is wanted.
    expect(page.problems.splice(0)).toEqual([
      expect.stringMatching(/^400: .*\/login$/),
      expect.stringMatching(/^console: .*400/),
    ]);
  });

  it('sends a strict Content-Security-Policy, and serves only the listed files', async () => {
    const index = await fetch(server.url);
    expect(index.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(await index.text()).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/);
    const missing = [
      'assets/page/../../main.js',
      'assets/page/..%2f..%2fpackage.json',
      'assets/realtime/core/x.js',
      'assets/page/app.ts',
    ];
    for (const path of missing) expect(await fetch(`${server.url}/${path}`)).toMatchObject({ status: 404 });
  });

  it('prints one sentence when its port is in use', async () => {
    const { code, output } = await ChatServer.startAndFail(server.port);
    expect(code).toBe(1);
    expect(output.trim().split('\n').at(-1)).toBe(
      `Port ${server.port} is taken. Choose another one: PORT=${server.port + 1} npm start`,
    );
  });

  it('fits wide and narrow, light and dark screens', async () => {
    mkdirSync(artifacts, { recursive: true });
    const { ada, grace } = await adaAndGrace('Tea and biscuits');
    const picture = (name: string) =>
      ada.page.screenshot({ path: `${artifacts}${name}.png`, animations: 'disabled' });
    await grace.say('Hello Ada! Is this thing on?');
    await ada.message('Is this thing on').waitFor();
    await ada.say('It is. Watch what happens when I pull the plug.');
    await grace.message('pull the plug').waitFor();
    await ada.cut();
    await grace.say('You cannot read this', 'nor this', 'but you will, in this order');
    await grace.message('in this order').waitFor();
    await ada.say('I wrote this in a tunnel.');
    await ada.pending('in a tunnel').waitFor();
    await picture('chat-cut');
    await ada.restore();
    await ada.activity('3 missed events').waitFor();
    await grace.message('in a tunnel').waitFor();
    await grace.input.pressSequentially('And');
    await ada.page.getByText('Grace is typing').waitFor();
    const screens = [
      ['desktop', { width: 1280, height: 800 }],
      ['tablet', { width: 820, height: 1000 }],
      ['phone', { width: 390, height: 844 }],
      ['narrow', { width: 360, height: 640 }],
    ] as const;
    const fits = async ({ page, input }: ChatPage, what: string): Promise<void> => {
      for (const [name, size] of screens) {
        await page.setViewportSize(size);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          await page.screenshot({
            path: `${artifacts}${what}-${name}-${colorScheme}.png`,
            animations: 'disabled',
          });
        }
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect({ what, name, overflow }).toEqual({ what, name, overflow: 0 });
        // Where people are below one another, the buttons of a moderator fit beside the picture.
        const people = page.locator('#people-section');
        if (name === 'desktop')
          expect(await people.evaluate((side) => side.scrollWidth - side.clientWidth)).toBe(0);
        expect(await input.isVisible()).toBe(true);
      }
    };
    await fits(ada, 'chat');
    // Moderated: a deleted message, slow mode, and a mute.
    await ada.page.getByLabel('Slow mode').selectOption({ label: '30 s' });
    await ada.message('nor this').hover();
    await ada.message('nor this').getByRole('button', { name: 'Delete this message' }).click();
    await grace.page.locator('.note.erased').waitFor();
    await ada.page.getByRole('button', { name: 'Mute Grace' }).click();
    await grace.restraint(/^You are muted until/).waitFor();
    await fits(ada, 'chat-moderator');
    await fits(grace, 'chat-muted');
  });
});

describe('the sample chat on Fastify', () => {
  it('serves the same page and channels', async () => {
    const fastify = await ChatServer.start({ platform: 'fastify' });
    try {
      const ada = await ChatPage.open(browser, fastify.url, 'Ada', DESKTOP);
      pages.push(ada);
      await ada.logIn();
      await ada.enter('Lounge');
      await ada.say('On Fastify');
      await ada.message('On Fastify').waitFor();
      await ada.close();
    } finally {
      await fastify.stop();
    }
  });
});
