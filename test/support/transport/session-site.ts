import type { HttpPlace, HttpSessionOptions } from '../wire/http-session-client.js';
import type { SessionClient } from '../wire/session-client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../wire/server.js';
import type { MemoryBroker } from '../../../lib/brokers/memory/index.js';
import { directly, type Front, type MakeFront } from './front.js';
import type { SessionTransport } from './session-transports.js';

/** Servers and what is in front of them. */
export interface Site {
  /** Nodes of one application; sessions begin at the first. */
  readonly nodes: readonly [WireServer, ...WireServer[]];
  /** How clients find the node that is given by its index. */
  placeOf(index: number): HttpPlace;
  /** Loses the log of a channel; it goes on under another epoch. */
  forget(channel: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts servers with these options. */
export type MakeSite = (options: WireServerOptions) => Promise<Site>;

/** One server on the memory broker, behind a front. */
export function oneNode(makeFront: MakeFront = directly): MakeSite {
  return async (options) => {
    const server = await startWireServer(options);
    const forget = async (channel: string): Promise<void> => (server.broker as MemoryBroker).clear(channel);
    return await siteOf([server], { makeFront, forget });
  };
}

/** What is beside the servers of a site. */
export interface SiteOptions {
  readonly makeFront?: MakeFront;
  readonly forget: Site['forget'];
  /** Whether the requests of a session go to the next node. */
  readonly crossed?: boolean;
}

/** Puts a front before each server. */
export async function siteOf(
  nodes: readonly [WireServer, ...WireServer[]],
  { makeFront = directly, forget, crossed = false }: SiteOptions,
): Promise<Site> {
  const fronts: Front[] = [];
  for (const { httpUrl } of nodes) fronts.push(await makeFront(Number(new URL(httpUrl).port)));
  const urlOf = (index: number): string => `${(fronts[index % fronts.length] as Front).url}/realtime`;
  return {
    nodes,
    forget,
    placeOf: (index) => ({
      url: urlOf(index),
      ...(crossed ? { elsewhere: urlOf(index + 1) } : {}),
      tls: fronts[index % fronts.length]?.tls,
    }),
    async close() {
      for (const front of fronts) await front.close();
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

/** A site and the clients that a test opened there. */
export class Visit {
  private readonly clients: SessionClient[] = [];

  constructor(readonly site: Site) {}

  get server(): WireServer {
    return this.site.nodes[0];
  }

  /** A client that has said nothing. */
  async open(transport: SessionTransport, options?: HttpSessionOptions, index = 0): Promise<SessionClient> {
    const client = await transport.open(this.site.placeOf(index), options);
    this.clients.push(client);
    return client;
  }

  /** A client that is welcomed. @param payload of `hello`, beside the token. */
  async connect(
    transport: SessionTransport,
    token?: string,
    payload?: Readonly<Record<string, unknown>>,
    options?: HttpSessionOptions,
  ): Promise<SessionClient> {
    const client = await this.open(transport, options);
    await client.hello(token, payload);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.terminate();
    await this.site.close();
  }
}
