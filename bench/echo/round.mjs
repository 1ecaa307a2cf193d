import { FrameReader } from '../support/frame-reader.mjs';
import { elapsedMs, startMeasuring } from '../support/load.mjs';
import { RequestTemplate } from '../support/request-template.mjs';
import { startServer } from '../support/server-process.mjs';
import { openSubscriber } from '../support/subscribers.mjs';

let checks = 0;

/** Starts a server and connects those who will ask it. @param contender `join`: of all, or a function that says how each comes in. */
export async function openAskers({ script, settings = {}, join }, connections) {
  const server = await startServer(script, settings);
  const askers = { server, clients: [], onReply: () => undefined, stop };
  const buffer = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < connections; index++) {
    const reader = new FrameReader();
    const own = typeof join === 'function' ? join(index) : join;
    const client = await openSubscriber(server.port, own, {
      buffer,
      onBytes(length, chunk, self) {
        askers.onBytes?.(Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1'));
        const frames = reader.read(length, chunk);
        for (let frame = 0; frame < frames; frame++) askers.onReply(self);
      },
    });
    askers.clients.push(client);
  }
  // What greets a client may still be under way.
  await new Promise((resolve) => setTimeout(resolve, 200));
  return askers;

  function stop() {
    for (const client of askers.clients) client.close();
    server.stop();
  }
}

/** Asks once: a server that only refuses would be fast. */
export async function check(askers, { name, text, answer = '"renamed":true' }) {
  let heard = '';
  askers.onBytes = (bytes) => (heard += bytes);
  await new Promise((resolve) => {
    askers.onReply = resolve;
    // A publish of the same id would be a repeat.
    askers.clients[0].send(text.replace(RequestTemplate.id, `check-${++checks}`));
  });
  askers.onBytes = undefined;
  if (!heard.includes(answer)) throw new Error(`${name} does not answer: ${heard}`);
}

/** One round: every client asks as soon as it was answered, for `roundMs`, and waits for its last answer. */
export async function round(askers, row, roundMs) {
  const { server, clients } = askers;
  const template = (row.template ??= new RequestTemplate(row.text));
  const ask = (client) => client.socket.write(template.next());
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let replies = 0;
  let outstanding = clients.length;
  await new Promise((resolve) => {
    askers.onReply = (client) => {
      replies += 1;
      if (elapsedMs(startedAt) < roundMs) ask(client);
      else if (--outstanding === 0) resolve();
    };
    for (const client of clients) ask(client);
  });
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  askers.onReply = () => undefined;
  // A server that began to refuse would be fast, too.
  await check(askers, row);
  return { cpuPerRequest: cpuMicros / replies, rate: replies / seconds, loadShare };
}
