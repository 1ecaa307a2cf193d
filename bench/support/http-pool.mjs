import { RawHttp } from './raw-http.mjs';

/**
 * Connections over which many clients send their requests, one at a time each, as behind a proxy that keeps them: a connection of
 * its own for each client would be closed while it says nothing.
 */
export class HttpPool {
  static #pools = new Map();
  #free = [];

  constructor(port) {
    this.port = port;
  }

  /** The one pool of a server. */
  static of(port) {
    let pool = HttpPool.#pools.get(port);
    if (pool === undefined) HttpPool.#pools.set(port, (pool = new HttpPool(port)));
    return pool;
  }

  /** As {@link RawHttp.ask}, over a connection that is free, or else a new one. */
  async ask(request) {
    let http = this.#free.pop();
    while (http?.isClosed) http = this.#free.pop();
    http ??= await RawHttp.open(this.port);
    const answer = await http.ask(request);
    this.#free.push(http);
    return answer;
  }
}
