import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * A TCP proxy for one client: whatever that client has open can be cut, or made half-open, at once.
 *
 * @example
 * const line = await Line.open(() => server.port);
 * line.reset(); // as a network does that sends RST
 */
export class Line {
  /** Connections that the client opened so far. */
  connects = 0;
  /** Called with each connection that the client opens. */
  onConnect = () => undefined;
  #server;
  #pairs = new Set();

  constructor(server) {
    this.#server = server;
  }

  /** @param {() => number} target Port of the server that the next connection leads to. */
  static async open(target) {
    const server = createServer({ noDelay: true });
    const line = new Line(server);
    server.on('connection', (near) => line.#carry(near, target()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return line;
  }

  /** What the client connects to. */
  get port() {
    return this.#server.address().port;
  }

  /** Ends everything that is open, with RST to both sides. @returns {boolean} whether anything was. */
  reset() {
    let isCut = false;
    for (const { near, far, isHeld } of this.#pairs) {
      if (isHeld) continue;
      isCut = true;
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    return isCut;
  }

  /**
   * Passes on nothing more of what is open, and closes nothing: neither side learns anything. New connections work.
   *
   * @param {'both' | 'down'} [way] `down`: what the client sends still arrives. Default both ways.
   * @returns {boolean} whether anything was open.
   */
  hold(way = 'both') {
    let isCut = false;
    for (const pair of this.#pairs) {
      if (pair.isHeld) continue;
      isCut = pair.isHeld = true;
      pair.far.unpipe(pair.near).pause();
      if (way === 'both') pair.near.unpipe(pair.far).pause();
    }
    return isCut;
  }

  async close() {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #carry(near, port) {
    this.connects++;
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair = { near, far, isHeld: false };
    this.#pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      end.on('error', () => undefined);
      end.on('close', () => {
        // The end of one side of a half-open connection does not reach the other.
        if (!pair.isHeld) other.destroy();
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
      });
    }
    this.onConnect();
  }
}
