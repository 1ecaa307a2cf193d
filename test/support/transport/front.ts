import type { Trust } from '../wire/http-post.js';

/** What clients connect to: the server itself, or a proxy in front of it. */
export interface Front {
  /** Scheme, host and port, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** How an `https:` address is found and trusted. */
  readonly tls?: Trust;
  close(): Promise<void>;
}

/** Puts something in front of a server that listens on this port of 127.0.0.1. */
export type MakeFront = (port: number) => Promise<Front>;

/** No proxy at all. */
export const directly: MakeFront = (port) =>
  Promise.resolve({ url: `http://127.0.0.1:${port}`, close: () => Promise.resolve() });
