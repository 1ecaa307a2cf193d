import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { patience } from '../support/patience.js';
import { until } from '../support/until.js';
import { ChatPage } from './support/chat.page.js';
import { ChatServer } from './support/chat.server.js';
import { launchChromium } from './support/chromium.js';

const artifacts = fileURLToPath(new URL('../../test-artifacts/', import.meta.url));
const PASSWORD = 'correct horse';
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const NARROW = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } as const;
const VIEWS = ['Nodes', 'Channels', 'People', 'Tap', 'Audit', 'Limits'];

/** The dashboard in a browser, as an operator uses it. */
describe('the dashboard in a browser', () => {
  let browser: Browser;
  let server: ChatServer;
  let token: string;

  beforeAll(async () => {
    mkdirSync(artifacts, { recursive: true });
    [browser, server] = await Promise.all([
      launchChromium(),
      ChatServer.start({ env: { MODERATOR_PASSWORD: PASSWORD } }),
    ]);
    const response = await fetch(`${server.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'moderator', password: PASSWORD }),
    });
    ({ token } = (await response.json()) as { token: string });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function open(options: BrowserContextOptions): Promise<{ page: Page; problems: string[] }> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(patience(10_000));
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text());
    });
    await page.goto(`${server.url}/realtime-admin/dashboard`);
    return { page, problems };
  }

  async function signIn(page: Page, as = token): Promise<void> {
    // The field has the focus: by keyboard alone.
    await page.waitForSelector('#token:focus');
    await page.keyboard.type(as);
    await page.keyboard.press('Enter');
    await page.getByText('Connected', { exact: true }).waitFor();
  }

  const tile = async (page: Page, label: string): Promise<string> =>
    page.locator('.tiles > div', { hasText: label }).locator('dd').innerText();

  it('shows numbers that move, disconnects a user for a reason, and has that in the audit', async () => {
    const { page, problems } = await open(DESKTOP);
    await page.waitForSelector('#token');
    await page.screenshot({ path: `${artifacts}dashboard-sign-in.png` });
    await page.fill('#token', 'wrong');
    await page.click('form button');
    // The guards do not know that one: it is asked for again.
    await page.waitForSelector('#token:focus');
    await signIn(page);
    await until('readings', async () => (await tile(page, 'Broker')) === 'up', patience(10_000));
    const before = Number(await tile(page, 'Connections'));
    const ada = await ChatPage.open(browser, server.url, 'Ada', DESKTOP);
    await ada.logIn();
    await ada.create('Charts');
    await until(
      'Ada to be counted',
      async () => Number(await tile(page, 'Connections')) === before + 1,
      patience(10_000),
    );
    await until(
      'what she says to be counted',
      async () => {
        await ada.say(`At ${performance.now()}`);
        return parseFloat(await tile(page, 'Events delivered')) > 0;
      },
      patience(15_000),
    );
    await page.locator('.plot canvas').first().waitFor();
    expect(await page.locator('.plot canvas').count()).toBe(6);
    // Below the lines are the times, and nothing else.
    const below = await page.evaluate(() => {
      const bottom = (name: string) => document.querySelector(name)?.getBoundingClientRect().bottom ?? 0;
      return bottom('.plot canvas') - bottom('.plot .u-over');
    });
    expect(below).toBeGreaterThan(15);
    expect(below).toBeLessThan(34);
    await page
      .getByRole('link', { name: /^rooms\./ })
      .first()
      .waitFor();
    await page.screenshot({ path: `${artifacts}dashboard-light.png`, fullPage: true });

    await page.getByRole('link', { name: 'People' }).click();
    await page.getByRole('link', { name: 'ada', exact: true }).click();
    await page.getByRole('table', { name: 'Connections' }).getByRole('link').nth(1).click();
    await page.getByRole('table', { name: 'Its channels' }).getByText('live').first().waitFor();
    await page.screenshot({ path: `${artifacts}dashboard-people.png`, fullPage: true });
    await page.getByRole('button', { name: 'Disconnect…' }).first().click();
    await page.getByLabel('Reason, for the audit').fill('to see what happens');
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('Disconnected, on 1 node.').waitFor();
    await ada.page
      .getByText(/disconnected|ended|log in/i)
      .first()
      .waitFor();

    await page.getByRole('link', { name: 'Audit' }).click();
    const row = page.getByRole('row', { name: /to see what happens/ });
    expect(await row.innerText()).toMatch(/disconnect.*ada.*moderator.*applied/s);
    await page.screenshot({ path: `${artifacts}dashboard-audit.png`, fullPage: true });
    expect(problems).toEqual([]);
    await page.context().close();
    await ada.close();
  });

  it('taps a channel while people talk, and stops for as long as is wanted', async () => {
    const { page, problems } = await open(DESKTOP);
    await signIn(page);
    const grace = await ChatPage.open(browser, server.url, 'Grace', DESKTOP);
    await grace.logIn();
    await grace.create('Wires');
    await page.getByRole('link', { name: 'Channels' }).click();
    await page
      .getByRole('link', { name: /^rooms\./ })
      .first()
      .waitFor();
    const busiest = page.getByRole('table', { name: 'Busiest channels' });
    expect(await busiest.getByRole('columnheader').allInnerTexts()).toEqual([
      'Channel',
      'Pattern',
      'Subscribers',
      'Nodes',
    ]);
    const names = await page.getByRole('link', { name: /^rooms\./ }).allInnerTexts();
    await page.getByRole('link', { name: names.at(-1) as string }).click();
    await page.getByText(`Open: ${names.at(-1)}`).waitFor();
    await grace.say('<img src=x onerror="alert(1)">');
    await page.getByRole('listitem').filter({ hasText: 'onerror' }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await grace.say('Unseen');
    await page.getByRole('button', { name: 'Continue (1 passed)' }).click();
    await grace.say('Seen');
    await page.getByRole('listitem').filter({ hasText: '"Seen"' }).waitFor();
    expect(await page.getByText('Unseen').count()).toBe(0);
    expect(await page.locator('img').count()).toBe(0);
    await page.screenshot({ path: `${artifacts}dashboard-tap.png`, fullPage: true });
    expect(problems).toEqual([]);
    await page.context().close();
    await grace.close();
  });

  it('fits a narrow window in the dark, and every view has a heading and no error', async () => {
    const { page, problems } = await open(NARROW);
    await signIn(page);
    await until('readings', async () => (await tile(page, 'Broker')) === 'up', patience(10_000));
    await page.screenshot({ path: `${artifacts}dashboard-dark-narrow.png`, fullPage: true });
    for (const view of VIEWS) {
      await page.getByRole('link', { name: view, exact: true }).click();
      await page.getByRole('heading', { level: 2, name: view }).waitFor();
      expect(await page.getByRole('link', { name: view, exact: true }).getAttribute('aria-current')).toBe(
        'page',
      );
      const widths = () => page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      for (const link of await page.locator('nav a').all()) {
        const box = await link.boundingBox();
        expect(box).not.toBeNull();
        expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= NARROW.viewport.width).toBe(true);
      }
      await until(`${view} to fit`, async () => (await widths())[0] === (await widths())[1], patience(5_000));
    }
    const limit = page.getByRole('row', { name: /limits\.maxFrameBytes/ });
    expect(await limit.innerText()).toContain('262,144 (256 KiB)');
    await page.screenshot({ path: `${artifacts}dashboard-dark-limits.png`, fullPage: true });
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('says that nothing comes when the server is gone, and comes back with it', async () => {
    const { page } = await open(DESKTOP);
    await signIn(page);
    const { port } = server;
    await server.stop();
    await page.getByText(/^Connection lost, coming back/).waitFor();
    server = await ChatServer.start({ port, env: { MODERATOR_PASSWORD: PASSWORD } });
    // Its secret is new, as the sample keeps none: the token is asked for again.
    await page.waitForSelector('#token', { timeout: patience(30_000) });
    await page.context().close();
  });
});
