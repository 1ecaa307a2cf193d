import { envelopes } from './frames.mjs';
import { RawSocket, Refused } from './raw-socket.mjs';
import { sign } from './tokens.mjs';

/** Sleep of an attacker that was refused: one that does not pause at all floods its own machine. */
const REFUSED_PAUSE_MS = 5;
/** Writes between two turns of the event loop. */
const WRITES_PER_TURN = 8;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const turn = () => new Promise(setImmediate);
const count = (table, key) => (table[key] = (table[key] ?? 0) + 1);

/** The attackers of one flood, and what became of them. */
export class Army {
  over = false;
  counts = { opened: 0, writes: 0, bytes: 0, commands: 0, replies: 0, refused: {}, closed: {}, errors: {} };
  #sockets = new Set();
  #tokens = new Map();
  #ids = 0;

  /**
   * @param {object} options
   * @param {number} options.port
   * @param {string} options.network First three bytes of the addresses that the attackers come from, e.g. `127.1.0`.
   * @param {string} options.name Prefix of their users.
   * @param {() => number} options.random Uniform in [0, 1), the same for the same seed.
   */
  constructor({ port, network, name, random }) {
    this.port = port;
    this.network = network;
    this.name = name;
    this.random = random;
  }

  /** One of the addresses of the attackers. */
  address(host = 1) {
    return `${this.network}.${host}`;
  }

  /** A whole number from `from` to below `to`. */
  between(from, to) {
    return from + Math.floor(this.random() * (to - from));
  }

  id() {
    return (++this.#ids).toString(36);
  }

  /** Signed once: the attacker's CPU is for the attack. */
  token(user) {
    if (!this.#tokens.has(user)) this.#tokens.set(user, sign(user));
    return this.#tokens.get(user);
  }

  hello(user) {
    const token = user === undefined ? {} : { token: this.token(`${this.name}-${user}`) };
    return { type: 'hello', id: this.id(), payload: { versions: [1], ...token } };
  }

  /**
   * One connection.
   *
   * @param {object} [options]
   * @param {string} [options.user] Says hello as this user. Default as nobody.
   * @param {boolean} [options.greet] Whether it says hello at all, and waits for `welcome`. Default true.
   * @param {string} [options.address] Default the first of the attackers.
   * @param {readonly string[]} [options.protocols]
   * @param {readonly string[]} [options.headers]
   * @returns {Promise<RawSocket | undefined>} nothing where it was refused, or did not get its `welcome`.
   */
  async recruit({ user, greet = true, address = this.address(), protocols, headers } = {}) {
    let socket;
    try {
      socket = await RawSocket.open({ port: this.port, address, protocols, headers });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      count(this.counts.refused, error.reason);
      await pause(REFUSED_PAUSE_MS);
      return undefined;
    }
    this.counts.opened++;
    this.#sockets.add(socket);
    void socket.closed.then((code) => {
      this.#sockets.delete(socket);
      if (!this.over) count(this.counts.closed, code);
    });
    if (this.over) socket.destroy();
    if (!greet) return socket;
    const welcome = new Promise((resolve) => {
      socket.onText = (text) => {
        this.#read(text);
        if (text.includes('"type":"welcome"')) resolve();
      };
    });
    this.write(socket, envelopes(this.hello(user)));
    await Promise.race([welcome, socket.closed]);
    return socket.alive ? socket : undefined;
  }

  /**
   * Keeps so many connections at it until the flood is over: one that ends is replaced.
   *
   * @param {number} size
   * @param {(socket: RawSocket, index: number) => unknown} act
   * @param {(index: number) => object} [options] As of {@link Army.recruit}.
   */
  async keep(size, act, options = () => ({})) {
    await Promise.all(
      Array.from({ length: size }, async (_, index) => {
        while (!this.over) {
          const socket = await this.recruit(options(index));
          if (socket === undefined) continue;
          await act(socket, index);
          await socket.closed;
          await turn();
        }
      }),
    );
  }

  write(socket, bytes) {
    this.counts.writes++;
    this.counts.bytes += bytes.length;
    return socket.write(bytes);
  }

  /** Envelopes in one frame. */
  send(socket, ...list) {
    this.counts.commands += list.length;
    return this.write(socket, envelopes(...list.map((one) => ({ id: this.id(), ...one }))));
  }

  /** Writes as fast as the other side takes it. @param {Buffer | (() => Buffer)} bytes */
  async pour(socket, bytes) {
    const next = typeof bytes === 'function' ? bytes : () => bytes;
    for (let writes = 1; !this.over && socket.alive; writes++) {
      if (!this.write(socket, next())) await socket.drained();
      else if (writes % WRITES_PER_TURN === 0) await turn();
    }
  }

  /** Acts at a rate, late or not. */
  async every(socket, ms, act) {
    for (let round = 0; !this.over && socket.alive; round++) {
      await act(round);
      await pause(ms);
    }
  }

  /** Ends the flood. */
  disband() {
    this.over = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #read(text) {
    for (const [, type, code] of text.matchAll(/"type":"(reply|error)"(?:[^\n]*?"code":"(\w+)")?/g)) {
      if (type === 'reply') this.counts.replies++;
      else count(this.counts.errors, code ?? 'unknown');
    }
  }
}
