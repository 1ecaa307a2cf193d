import { HttpSender } from './http-sender.mjs';
import { RawClient } from './raw-client.mjs';
import { RawHttp } from './raw-http.mjs';

const JSON_BODY = { 'Content-Type': 'application/json' };

/** What a client of the library says first. */
function greeting(channels, token) {
  return JSON.stringify([
    { type: 'hello', id: 'h', payload: { versions: [1], ...(token === undefined ? {} : { token }) } },
    ...channels.map((channel, index) => ({ type: 'subscribe', id: `sub-${index}`, channel })),
  ]);
}

const sessionIn = (text) => /"connection":"([^"]+)"/.exec(text)?.[1];
const ignore = () => undefined;

/**
 * How clients over HTTP become subscribers; each of them answers what asks whether it lives. Those of the library have
 * `send(text)`, which resolves when the server has taken a body.
 *
 * @param {readonly string[]} channels
 * @param {{ token?: string, onBeat?: () => void }} [options] `onBeat` is told of each question whether it lives that was
 * answered: a `ping`, or an answer to a poll that has nothing in it.
 */
export const httpJoins = {
  /** A session whose server writes an event stream: what it says goes by requests of their own. */
  sseSession: (channels = ['bench.fanout'], { token, onBeat = ignore } = {}) => ({
    async open(port, { buffer, onBytes }) {
      const last = `sub-${channels.length - 1}`;
      let text = '';
      let sender;
      let subscribed;
      const isSubscribed = new Promise((resolve) => (subscribed = resolve));
      const pong = async (ref) => {
        await sender.send(JSON.stringify({ type: 'pong', ref }));
        onBeat();
      };
      const stream = await RawClient.open(port, {
        path: '/realtime/sse',
        isStream: true,
        body: greeting(channels, token),
        buffer,
        onBytes(length, chunk) {
          onBytes(length, chunk);
          // Events are long and come by the thousand: what is looked at is short.
          if (sender !== undefined && subscribed === undefined && length > 256) return;
          text = (text + Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1')).slice(
            -4_096,
          );
          const session = sender === undefined ? sessionIn(text) : undefined;
          if (session !== undefined) sender = new HttpSender(port, session);
          if (text.includes(last)) {
            subscribed?.();
            subscribed = undefined;
          }
          const ping = /"type":"ping","id":"([^"]+)"/.exec(text)?.[1];
          if (subscribed === undefined) text = '';
          // One that is behind its end is not answered any more.
          if (ping !== undefined) pong(ping).catch(ignore);
        },
      });
      await isSubscribed;
      return { send: (body) => sender.send(body), close: () => stream.close() };
    },
  }),

  /** A session that asks for what there is, again and again. */
  longPoll: (channels = ['bench.fanout'], { token, onBeat = ignore } = {}) => ({
    async open(port, { onBytes }) {
      const http = await RawHttp.open(port, onBytes);
      const ask = (headers, body) => http.ask({ method: 'POST', path: '/realtime/poll', headers, body });
      let { head, body } = await ask(JSON_BODY, greeting(channels, token));
      const session = sessionIn(body);
      if (session === undefined) throw new Error(`No session: ${head} ${body}`);
      const next = async () => {
        const answer = /\r\nrealtime-answer: *(\d+)/i.exec(head)?.[1];
        ({ head, body } = await ask({ 'Realtime-Session': session, 'Realtime-Ack': answer }));
        if (body === '[]') onBeat();
      };
      while (!body.includes(`sub-${channels.length - 1}`)) await next();
      void forEver(next);
      const sender = new HttpSender(port, session);
      return { send: (text) => sender.send(text), close: () => http.close() };
    },
  }),

  /** Socket.IO without an upgrade, as its client does it: a request that waits, and others that say something. */
  socketIoPolling: {
    async open(port, { onBytes }) {
      const http = await RawHttp.open(port, onBytes);
      const other = await RawHttp.open(port);
      const path = '/socket.io/?EIO=4&transport=polling';
      const { body } = await http.ask({ path });
      const { sid } = JSON.parse(body.slice(1));
      const own = `${path}&sid=${sid}`;
      const say = (text) =>
        other.ask({ method: 'POST', path: own, headers: { 'Content-Type': 'text/plain' }, body: text });
      const joined = say('40');
      const next = async () => {
        const answer = await http.ask({ path: own });
        for (const packet of answer.body.split('\x1e')) if (packet === '2') void say('3');
        return answer.body;
      };
      const first = next();
      await joined;
      if (!(await first).startsWith('40')) throw new Error('Socket.IO did not welcome its client');
      void forEver(next);
      return {
        close() {
          http.close();
          other.close();
        },
      };
    },
  },
};

/** Until the connection is closed. */
async function forEver(step) {
  try {
    for (;;) await step();
  } catch {
    // It was.
  }
}
