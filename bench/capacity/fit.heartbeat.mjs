import { openSubscriber } from '../support/subscribers.mjs';
import { joinOf, startApplication } from './clients.mjs';

const CONNECTIONS = 1_000;
const AT_ONCE = 50;
const MEASURE_MS = 6_000;
/** The shortest interval that there is; a ping comes no sooner than the timeout of the last. */
const OPTIONS = { heartbeat: { interval: '1s', timeout: '1s' } };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a ping and its pong cost the server, from clients that do nothing but answer. */
export async function fitHeartbeat() {
  const server = await startApplication(OPTIONS);
  let pings = 0;
  const handling = {
    buffer: Buffer.alloc(64 * 1024),
    onBytes(length, chunk, client) {
      const text = Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
      if (!text.includes('"type":"ping"')) return;
      pings += 1;
      client.send(JSON.stringify({ type: 'pong', ref: /"id":"([^"]+)"/.exec(text)?.[1] }));
    },
  };
  const clients = [];
  while (clients.length < CONNECTIONS) {
    const opening = Array.from({ length: AT_ONCE }, (_, index) =>
      openSubscriber(server.port, joinOf(`idle-${clients.length + index}`, ['idle']), handling),
    );
    clients.push(...(await Promise.all(opening)));
  }
  await wait(1_000);
  const before = await server.ask({ type: 'cpu' });
  const answered = pings;
  await wait(MEASURE_MS);
  const after = await server.ask({ type: 'cpu' });
  const count = pings - answered;
  if (count === 0) throw new Error('No ping came: is the heartbeat on?');
  for (const client of clients) client.close();
  server.stop();
  return { micros: { heartbeat: (after.cpuMicros - before.cpuMicros) / count } };
}
