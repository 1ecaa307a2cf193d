// Heap that a client keeps after many reconnects and many subscribes. Argument: JSON { hoarding }, of which a control keeps a small
// array for each.
import { answerAsLibrary } from '../../../bench/client/library-answers.mjs';
import { fakeSocket } from '../../../bench/client/fake-socket.mjs';
import { RealtimeClient } from '../../../dist/client/index.js';

/** Of each, before anything is measured: V8 keeps compiling for that long. */
const WARM_UP = 6_000;

const { hoarding, reconnects, cycles } = JSON.parse(process.argv[2]);
const hoard = [];
const note = () => hoarding && hoard.push(new Array(64).fill(0));

const Socket = fakeSocket();
answerAsLibrary(Socket);
const client = new RealtimeClient('ws://probe.test/realtime', { webSocket: Socket, fetch: false });
const kept = client.channel('rooms.kept');
await kept.subscribe();

async function reconnect() {
  const back = new Promise((resolve) => kept.once('subscribed', resolve));
  Socket.last.close(4000, '');
  await back;
  note();
}

/** Every second time by its signal, and of a channel of its own. */
async function cycle(n) {
  const room = client.channel(`rooms.${n}`);
  const off = room.on('said', () => undefined);
  const ended = new AbortController();
  const { release } = await room.subscribe({ signal: ended.signal });
  off();
  if (n % 2 === 0) ended.abort();
  else release();
  await new Promise(setImmediate);
  note();
}

function used() {
  for (let round = 0; round < 3; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

/** Bytes that `times` of it left behind, once all code is compiled, and what is kept for the first thousand is there. */
async function growth(task, times) {
  for (let n = 0; n < WARM_UP; n++) await task(n);
  const before = used();
  for (let n = 0; n < times; n++) await task(WARM_UP + n);
  return used() - before;
}

const perReconnect = (await growth(reconnect, reconnects)) / reconnects;
const perCycle = (await growth(cycle, cycles)) / cycles;
const { reconnects: counted } = client.stats();
console.log(JSON.stringify({ perReconnect, perCycle, counted }));
await client.close();
