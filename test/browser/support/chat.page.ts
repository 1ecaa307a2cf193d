import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { patience } from '../../support/patience.js';

/** One person in front of the sample's page: what they see and do, and everything that went wrong behind it. */
export class ChatPage {
  /** Errors and warnings of the console, uncaught errors, failed requests and HTTP errors. */
  readonly problems: string[] = [];

  private constructor(
    readonly page: Page,
    readonly name: string,
  ) {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.problems.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.problems.push(`uncaught: ${error.stack ?? error.message}`));
    page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText;
      // Given up because the page was left.
      if (why !== 'net::ERR_ABORTED') this.problems.push(`request failed: ${request.url()} ${why}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) this.problems.push(`${response.status()}: ${response.url()}`);
    });
  }

  /** Opens the page in a browser profile of its own. */
  static async open(
    browser: Browser,
    url: string,
    name: string,
    options: BrowserContextOptions = {},
  ): Promise<ChatPage> {
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(patience(10_000));
    const chat = new ChatPage(await context.newPage(), name);
    await chat.page.goto(url);
    return chat;
  }

  async logIn(name = this.name): Promise<void> {
    await this.page.getByLabel('Your name').fill(name);
    await this.page.getByRole('button', { name: 'Join' }).click();
    await this.isLive();
  }

  async isLive(): Promise<void> {
    await this.page.locator('#connection[data-state="live"]').waitFor();
  }

  async create(title: string): Promise<void> {
    await this.page.getByLabel('New room').fill(title);
    await this.page.getByRole('button', { name: 'Create' }).click();
    await this.isIn(title);
  }

  async enter(title: string): Promise<void> {
    await this.page.getByRole('link', { name: title }).click();
    await this.isIn(title);
  }

  async isIn(title: string): Promise<void> {
    await this.page.getByRole('heading', { name: title, exact: true }).waitFor();
    await this.activity(`“${title}”: snapshot received`).first().waitFor();
  }

  get input(): Locator {
    return this.page.getByLabel('Message', { exact: true });
  }

  async say(...texts: string[]): Promise<void> {
    for (const text of texts) {
      await this.input.fill(text);
      await this.page.getByRole('button', { name: 'Send' }).click();
    }
  }

  /** A message of the log. */
  message(text: string): Locator {
    return this.page.locator('.message:not(.pending)').filter({ hasText: text });
  }

  /** An own message that the server does not have yet. */
  pending(text: string): Locator {
    return this.page.locator('.message.pending').filter({ hasText: text });
  }

  /** The texts of all messages, from top to bottom. */
  texts(): Promise<string[]> {
    return this.page.locator('.message .text').allTextContents();
  }

  /** What holds this person up: a mute, or slow mode. */
  restraint(text: RegExp): Locator {
    return this.page.locator('#restraint').filter({ hasText: text });
  }

  person(id: string): Locator {
    return this.page.locator(`#people [data-user="${id}"]`);
  }

  /** A line of "What just happened". */
  activity(text: string): Locator {
    return this.page.locator('#activity li').filter({ hasText: text });
  }

  async cut(): Promise<void> {
    await this.page.getByRole('button', { name: 'Cut the connection' }).click();
    await this.page.locator('#connection[data-state="waiting"]').waitFor();
  }

  async restore(): Promise<void> {
    await this.page.getByRole('button', { name: 'Restore' }).click();
    await this.isLive();
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
