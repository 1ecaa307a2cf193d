import { RawClient } from './raw-client.mjs';
import { RawHttp } from './raw-http.mjs';

const JSON_BODY = { 'Content-Type': 'application/json' };

/** What a client of the library says first. */
function greeting(channels) {
  return JSON.stringify([
    { type: 'hello', id: 'h', payload: { versions: [1] } },
    ...channels.map((channel, index) => ({ type: 'subscribe', id: `sub-${index}`, channel })),
  ]);
}

const sessionIn = (text) => /"connection":"([^"]+)"/.exec(text)?.[1];

/** How clients over HTTP become subscribers; each of them answers what asks whether it lives. */
export const httpJoins = {
  /** A session whose server writes an event stream: its pongs go by requests of their own. */
  sseSession: (channels = ['bench.fanout']) => ({
    async open(port, { buffer, onBytes }) {
      const last = `sub-${channels.length - 1}`;
      let text = '';
      let session;
      let requests;
      let sent = 0;
      let subscribed;
      const isSubscribed = new Promise((resolve) => (subscribed = resolve));
      const pong = async (ref) => {
        requests ??= await RawHttp.open(port);
        const headers = { ...JSON_BODY, 'Realtime-Session': session, 'Realtime-Send': ++sent };
        const body = JSON.stringify({ type: 'pong', ref });
        await requests.ask({ method: 'POST', path: '/realtime/send', headers, body });
      };
      const stream = await RawClient.open(port, {
        path: '/realtime/sse',
        isStream: true,
        body: greeting(channels),
        buffer,
        onBytes(length, chunk) {
          onBytes(length);
          // Events are long and come by the thousand: what is looked at is short.
          if (session !== undefined && subscribed === undefined && length > 256) return;
          text = (text + Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1')).slice(
            -4_096,
          );
          session ??= sessionIn(text);
          if (text.includes(last)) {
            subscribed?.();
            subscribed = undefined;
          }
          const ping = /"type":"ping","id":"([^"]+)"/.exec(text)?.[1];
          if (subscribed === undefined) text = '';
          if (ping !== undefined) void pong(ping);
        },
      });
      await isSubscribed;
      return {
        close() {
          stream.close();
          requests?.close();
        },
      };
    },
  }),

  /** A session that asks for what there is, again and again. */
  longPoll: (channels = ['bench.fanout']) => ({
    async open(port, { onBytes }) {
      const http = await RawHttp.open(port, onBytes);
      const ask = (headers, body) => http.ask({ method: 'POST', path: '/realtime/poll', headers, body });
      let { head, body } = await ask(JSON_BODY, greeting(channels));
      const session = sessionIn(body);
      if (session === undefined) throw new Error(`No session: ${head} ${body}`);
      const next = async () => {
        const answer = /\r\nrealtime-answer: *(\d+)/i.exec(head)?.[1];
        ({ head, body } = await ask({ 'Realtime-Session': session, 'Realtime-Ack': answer }));
      };
      while (!body.includes(`sub-${channels.length - 1}`)) await next();
      void forEver(next);
      return http;
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
