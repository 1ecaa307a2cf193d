import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { RedisProcess } from '../support/redis/process.js';
import { ChatPage } from './support/chat.page.js';
import { ChatServer } from './support/chat.server.js';
import { launchChromium } from './support/chromium.js';

const SECRETS = { JWT_SECRET: 'j'.repeat(32), TICKET_SECRET: 't'.repeat(32) };

let browser: Browser;
let redis: RedisProcess;
let here: ChatServer;
let there: ChatServer;

beforeAll(async () => {
  redis = await RedisProcess.start();
  const env = { ...SECRETS, REDIS_URL: redis.url };
  [browser, here, there] = await Promise.all([
    launchChromium(),
    ChatServer.start({ env }),
    ChatServer.start({ env, platform: 'fastify' }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await Promise.all([here?.stop(), there?.stop()]);
  await redis?.dispose();
});

describe('the sample chat as two processes with a page at each', () => {
  it('when a process is killed, its page waits, the other page continues, and no message is missed (G3)', async () => {
    const [ada, grace] = await Promise.all([
      ChatPage.open(browser, here.url, 'Ada'),
      ChatPage.open(browser, there.url, 'Grace'),
    ]);
    await Promise.all([ada.logIn(), grace.logIn()]);
    await ada.create('Shared');
    await grace.enter('Shared');
    await ada.person('grace').waitFor();
    await ada.say('Hello Grace');
    await grace.message('Hello Grace').waitFor();
    await grace.say('Hello Ada');
    await ada.message('Hello Ada').waitFor();

    await here.kill();
    await ada.page.locator('#connection[data-state="waiting"]').waitFor();
    await grace.say('Are you there?');
    await grace.message('Are you there?').waitFor();
    await ada.say('One moment');
    await ada.pending('One moment').waitFor();
    await grace.isLive();

    here = await ChatServer.start({ port: here.port, env: { ...SECRETS, REDIS_URL: redis.url } });
    await ada.isLive();
    await grace.message('One moment').waitFor();
    await ada.activity('“Shared” resumed').waitFor();
    await ada.message('One moment').waitFor();
    const all = ['Hello Grace', 'Hello Ada', 'Are you there?', 'One moment'];
    for (const page of [ada, grace]) expect(await page.texts()).toEqual(all);
    expect(grace.problems).toEqual([]);
    await Promise.all([ada.close(), grace.close()]);
  });

  it('prints one sentence that names the secret that both processes must share', async () => {
    const { code, output } = await ChatServer.startAndFail(there.port, {
      ...SECRETS,
      REDIS_URL: redis.url,
      TICKET_SECRET: '',
    });
    expect(code).toBe(1);
    expect(output.trim()).toBe(
      'With REDIS_URL, TICKET_SECRET must be set to at least 32 characters, the same for every process: a client that reconnects to another process must be recognized.',
    );
  });
});
