import { openSubscribers } from '../support/subscribers.mjs';
import { startApplication } from './clients.mjs';
import { joinOf } from './transports.mjs';

const CONNECTIONS = 1_000;
const MEASURE_MS = 6_000;
/** The shortest interval that there is; a ping comes no sooner than the timeout of the last. */
const OPTIONS = { heartbeat: { interval: '1s', timeout: '1s' } };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What it costs the server to ask whether a client lives, with its answer, from clients that do nothing else. */
export async function fitHeartbeat(transport) {
  const server = await startApplication(OPTIONS);
  let beats = 0;
  const onBeat = () => (beats += 1);
  // Not waited for until it is quiet: it never is.
  const load = await openSubscribers(
    server.port,
    (index) => joinOf(transport, `idle-${index}`, ['idle'], onBeat),
    CONNECTIONS,
    undefined,
    { untilQuiet: false },
  );
  await wait(1_000);
  const before = await server.ask({ type: 'cpu' });
  const answered = beats;
  await wait(MEASURE_MS);
  const after = await server.ask({ type: 'cpu' });
  const count = beats - answered;
  if (count === 0) throw new Error('Nothing asked whether a client lives: is the heartbeat on?');
  for (const client of load.clients) client.close();
  server.stop();
  return { micros: { heartbeat: (after.cpuMicros - before.cpuMicros) / count } };
}
