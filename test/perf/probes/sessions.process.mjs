// Bytes of heap that an idle session keeps, beyond its connection. Argument: JSON { hoarding }, of which a control has
// each session keep a small array more.
import { QuietConnection, startEngine, subscribe } from './engine.mjs';

const { hoarding } = JSON.parse(process.argv[2]);
const SESSIONS = 5_000;

const { engine, variant } = await startEngine({ paced: false });
const open = async (count) => {
  const connections = Array.from({ length: count }, () => new QuietConnection(variant));
  const bare = used();
  await subscribe(engine, connections);
  if (hoarding) for (const { handler } of connections) handler.hoard = new Array(64).fill(0);
  return { connections, bare };
};
// Compiled code and tables that grow are not the sessions'.
const first = await open(SESSIONS);
const { connections, bare } = await open(SESSIONS);
console.log(JSON.stringify({ perSession: (used() - bare) / SESSIONS, sessions: engine.status.sessions }));
for (const { handler } of [...first.connections, ...connections]) handler.onClose(1_000);
await engine.stop();

function used() {
  for (let round = 0; round < 3; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}
