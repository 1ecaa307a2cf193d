import { HttpPool } from './http-pool.mjs';

/** Until a body that was refused for the moment is sent again, where the answer does not say. */
const RETRY_MS = 100;

/** The bodies of one session over HTTP (P21): numbered, one after the other. */
export class HttpSender {
  #last = Promise.resolve();
  #taken = 0;

  /** @param {string} session as `welcome.connection` has it. */
  constructor(port, session) {
    this.pool = HttpPool.of(port);
    this.session = session;
  }

  /** @returns {Promise<void>} once it was taken; what it causes comes by the stream or a poll. */
  send(body) {
    const sent = this.#last.then(() => this.#deliver(body));
    this.#last = sent.catch(() => undefined);
    return sent;
  }

  async #deliver(body) {
    const headers = {
      'Content-Type': 'application/json',
      'Realtime-Session': this.session,
      'Realtime-Send': this.#taken + 1,
    };
    for (;;) {
      const { head } = await this.pool.ask({ method: 'POST', path: '/realtime/send', headers, body });
      const status = head.slice(9, 12);
      if (status === '202') break;
      if (status !== '429' && status !== '503') throw new Error(`A body was refused: ${head.slice(0, 80)}`);
      const seconds = /\r\nretry-after: *(\d+)/i.exec(head)?.[1];
      await new Promise((resolve) => setTimeout(resolve, seconds === undefined ? RETRY_MS : 1_000 * seconds));
    }
    this.#taken += 1;
  }
}
