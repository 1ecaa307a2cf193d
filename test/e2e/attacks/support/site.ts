import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Authorize, Channel, OnPublish, OnRequest, PublicChannel } from '../../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../../lib/nest/lifecycle/realtime-runtime.js';
import type { RealtimeModuleOptions } from '../../../../lib/nest/realtime-options.js';
import { ConnectedSocket, MessageBody } from '@nestjs/websockets';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { NestApplicationOptions } from '@nestjs/common';
import type { RealtimeConnection } from '../../../../lib/core/ports/realtime-connection.js';
import { CANARY } from '../../../../scripts/canary.mjs';
import { collectGarbage, usedMemory, watchUncaught } from '../../../support/real-process.js';
import { elapse, patience, stretched } from '../../../support/patience.js';
import { until } from '../../../support/until.js';
import { WireClient, type WireClientOptions } from '../../../support/wire/client.js';
import { startApp, type TestApp } from '../../nest/support/nest-app.js';
import { RawSocket } from './raw-socket.js';
import { AUDIENCE, SECRET, sign } from './tokens.js';

/** What all attacks together may leave behind, the second time. */
const MAX_MEMORY_GROWTH = 4 * 1024 * 1024;
/** Longest wait of a well-behaved neighbour for its answers; a server that hangs is far beyond. */
const MAX_LATENCY_MS = stretched(2_000);
/** Time that two commands of the neighbour take of its own rate: it behaves well. */
const PACE_MS = 50;

@PublicChannel()
@Channel('rooms.:room', { presence: { grace: '100ms' }, signals: ['typing'] })
class RoomsChannel {
  @Authorize('publish')
  mayPublish() {
    return true;
  }

  @Authorize('signal')
  maySignal() {
    return true;
  }

  @OnPublish('said')
  said() {}

  @OnRequest('echo', { scope: 'connection', authorize: 'authenticated' })
  echo(@MessageBody() body: unknown) {
    return { body };
  }

  @OnRequest('whoami', { scope: 'connection', authorize: 'authenticated' })
  whoami(@ConnectedSocket() { user, ip }: RealtimeConnection) {
    return { id: user?.id, ip };
  }
}

@Channel('secrets.:user')
class SecretsChannel {
  @Authorize('subscribe')
  own(@ConnectedSocket() { user }: RealtimeConnection) {
    return user?.id === 'root';
  }
}

/** An application under attack, and a client that behaves well. */
export class Site {
  private static addresses = 0;
  private neighbour: WireClient | undefined;
  private readonly opened = new Set<RawSocket>();
  private count = 0;
  private checkedAt = 0;
  private users = 0;

  private constructor(
    readonly app: TestApp,
    private readonly clientOptions: WireClientOptions,
    private readonly ca: string | undefined,
  ) {}

  /** The defaults of the library, tokens and a cookie for authentication, and what a kind of attack needs beside. */
  static async start(
    realtime: Partial<RealtimeModuleOptions> = {},
    more: { readonly application?: NestApplicationOptions; readonly ca?: string } = {},
  ): Promise<Site> {
    const auth = { jwt: { secret: SECRET, audience: AUDIENCE }, cookie: { name: 'session' } };
    const app = await startApp(() => new ExpressAdapter(), {
      providers: [RoomsChannel, SecretsChannel],
      // What is left behind is released in a moment, where it would take seconds by default.
      realtime: { auth, linger: '50ms', heartbeat: { timeout: '1s' }, ...realtime },
      ...(more.application === undefined ? {} : { application: more.application }),
    });
    const clientOptions: WireClientOptions =
      more.ca === undefined
        ? { headers: { Host: 'app.example', 'X-Forwarded-For': '203.0.113.200' } }
        : { headers: { Host: 'app.example' }, socket: { ca: more.ca, servername: 'localhost' } };
    return new Site(app, clientOptions, more.ca);
  }

  get engine() {
    return this.app.app.get(RealtimeRuntime).engine;
  }

  /** A user that no other attack is made as: bans concern users. */
  nextUser(): string {
    return `eve${(this.users += 1)}`;
  }

  /** A connection from an address that no other attack comes from. */
  async open(localAddress = Site.nextAddress()): Promise<RawSocket> {
    const socket = await RawSocket.open({ port: this.app.port, localAddress, ca: this.ca });
    this.opened.add(socket);
    return socket;
  }

  /** Ends every connection of an attack. */
  leave(): void {
    for (const socket of this.opened) socket.destroy();
    this.opened.clear();
  }

  /** The neighbour's ping and publish still work, in time. */
  async checkNeighbour(): Promise<void> {
    const url = this.ca === undefined ? this.app.url : this.app.url.replace('ws:', 'wss:');
    if (this.neighbour === undefined) {
      this.neighbour = await WireClient.open(url, this.clientOptions);
      await this.neighbour.hello(sign({ sub: 'neighbour' }));
      await this.neighbour.subscribe('rooms.neighbours');
    }
    const client = this.neighbour;
    await elapse(Math.max(0, PACE_MS - (performance.now() - this.checkedAt)));
    const began = (this.checkedAt = performance.now());
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
    const payload = { n: ++this.count, text: CANARY };
    const { seq } = await client.reply({
      type: 'publish',
      channel: 'rooms.neighbours',
      event: 'said',
      payload,
    });
    expect(await client.take({ type: 'event' })).toMatchObject({ seq, payload });
    expect(performance.now() - began).toBeLessThan(MAX_LATENCY_MS);
    client.received.length = 0;
  }

  /** Only the neighbour is left, and nothing that an attacker sent or was to be sent is kept. */
  async expectRest(): Promise<void> {
    const { engine } = this;
    await until('the sessions of the attackers to end', () => engine.status.sessions === 1);
    await until('the channels of the attackers to be released', () => engine.status.channels <= 1);
  }

  async close(): Promise<void> {
    this.leave();
    this.neighbour?.terminate();
    await this.app.close();
    await until('the last session to end', () => this.engine.status.sessions === 0);
  }

  /** Of 127.0.0.0/8, which is this machine. */
  private static nextAddress(): string {
    const n = (Site.addresses += 1);
    return `127.1.${1 + ((n >> 8) & 0x3f)}.${1 + (n % 250)}`;
  }
}

/** A row of a table: an input, and what the documents say that it is answered with. */
export interface Attack {
  readonly name: string;
  /** Clause of the protocol, or guarantee. */
  readonly clause: string;
}

/**
 * What every table of attacks proves beside its rows: that others are unharmed, and that memory is back. Call it last in a
 * `describe`.
 */
export function expectUnharmed(site: () => Site, rows: () => Promise<void>): void {
  it(
    'releases the sessions, buffers and memory of the same attacks made again, without an error in the log (G13, G14, G16)',
    async () => {
      const uncaught = watchUncaught();
      const used = async (): Promise<number> => {
        await rows();
        await site().expectRest();
        await collectGarbage();
        return usedMemory();
      };
      // The same twice: what a first run leaves is warm-up, what a second adds is a leak.
      const first = await used();
      expect((await used()) - first).toBeLessThan(MAX_MEMORY_GROWTH);
      await site().checkNeighbour();
      expect(await uncaught.settled()).toEqual([]);
      expect(site().app.logger.at('error')).toEqual([]);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
    patience(120_000),
  );
}

/** Starts a site before the tests of a `describe`, and closes it behind them. */
export function useSite(start: () => Promise<Site>): () => Site {
  let site: Site | undefined;
  beforeAll(async () => {
    site = await start();
    await site.checkNeighbour();
  });
  afterAll(() => site?.close());
  return () => site as Site;
}
