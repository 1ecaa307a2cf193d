import { build } from 'esbuild';
import type { Browser, BrowserContextOptions, Page, WebSocket } from 'playwright-core';
import { patience } from '../../support/patience.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

/** What a site serves, by path: the type and the text. */
export type Files = Readonly<
  Record<string, readonly [type: string, text: string, headers?: Record<string, string>]>
>;

/** Bundles a script of `test/browser/pages`, or the client itself, for a page. */
export async function bundle(entry: string, options: { readonly globalName?: string } = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'silent',
    ...options,
  });
  return outputFiles[0]?.text ?? '';
}

/** A server of the library's parts that serves pages too. */
export async function startSite(files: Files, options: WireServerOptions): Promise<WireServer> {
  return startWireServer({
    ...options,
    pages: (req, res) => {
      const [type, text, headers] = files[req.url ?? ''] ?? ['text/plain', ''];
      // The icon, which every browser asks for.
      if (text === '') res.writeHead(204).end();
      else res.writeHead(200, { 'content-type': type, ...headers }).end(text);
    },
  });
}

/** One envelope of a frame, as a page sent or received it. */
export type Message = Readonly<Record<string, unknown>>;

/** A page of a site, with everything that went wrong behind it, and what went over its sockets. */
export class SitePage {
  /** Errors and warnings of the console, uncaught errors and rejections that nobody handled. */
  readonly problems: string[] = [];
  /** What each socket sent. */
  readonly sent: Message[][] = [];
  /** What each socket received, as text. */
  readonly received: string[][] = [];

  private constructor(public page: Page) {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.problems.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.problems.push(`uncaught: ${String(error)}`));
    page.on('websocket', (socket) => this.follow(socket));
  }

  /** Opens a page in a browser profile of its own. */
  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<SitePage> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(patience(10_000));
    const opened = new SitePage(await context.newPage());
    await opened.page.goto(url);
    return opened;
  }

  /** The commands of a type that were sent, over all sockets. */
  commands(type: string): Message[] {
    return this.sent.flat().filter((message) => message['type'] === type);
  }

  close(): Promise<void> {
    return this.page.context().close();
  }

  private follow(socket: WebSocket): void {
    const sent: Message[] = [];
    const received: string[] = [];
    this.sent.push(sent);
    this.received.push(received);
    socket.on('framesent', ({ payload }) => {
      for (const line of String(payload).split('\n')) if (line !== '') sent.push(JSON.parse(line) as Message);
    });
    socket.on('framereceived', ({ payload }) => received.push(String(payload)));
  }
}
