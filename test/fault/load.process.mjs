// Publishers and clients that do not read, in a process of their own. Started by test/fault/overload.spec.ts with one argument,
// JSON: { url, publishers, stalled }. On { type: 'measure', ms } it publishes as fast as it is answered and says how many were; on
// { type: 'flood', perSecond } it publishes so many a second, whatever is answered, until { type: 'stop' }.
import { WebSocket } from 'ws';

const { url, publishers, stalled } = JSON.parse(process.argv[2]);
const PAYLOAD = 'x'.repeat(200);
const IN_FLIGHT = 32;
/** How long a client does not read before another comes in its place, at least; twice as long at most. */
const SLEEP_MS = 8_000;
const REFUSED_MS = 2_000;
let count = 0;
let acknowledged = 0;
let refused = 0;
let onAnswer = () => undefined;

function open(name, onMessage) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['realtime.v1.json']);
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1], token: name } })),
    );
    socket.on('error', reject);
    socket.on('close', reject);
    socket.on('message', (data) => {
      for (const line of data.toString().split('\n')) {
        const message = JSON.parse(line);
        if (message.type === 'welcome') resolve(socket);
        else if (message.type === 'ping')
          socket.send(JSON.stringify({ type: 'pong', id: 'p', ref: message.id }));
        else onMessage(message, socket);
      }
    });
  });
}

const publish = (socket, channel) =>
  socket.send(
    JSON.stringify({ type: 'publish', id: `m${count++}`, channel, event: 'said', payload: PAYLOAD }),
  );

const writers = [];
for (let n = 0; n < publishers; n++) {
  const channel = n % 2 === 0 ? `rooms.${n % 8}` : `prices.${n % 8}`;
  const socket = await open(`writer-${n}`, ({ type }) => {
    if (type === 'reply') acknowledged++;
    if (type === 'error') refused++;
    if (type === 'reply' || type === 'error') onAnswer(socket, channel);
  });
  writers.push({ socket, channel });
}
// A node ends those that do not read when their queue is full, and they cannot see it: each comes back after a while, so that a node
// always has nearly as many of them.
async function sleep(n) {
  const channel = n % 2 === 0 ? `rooms.${n % 8}` : `prices.${n % 8}`;
  let socket;
  try {
    socket = await open(`sleeper-${n}`, ({ type }, self) => type === 'reply' && self.pause());
  } catch {
    // A node that is overloaded takes no new ones.
    setTimeout(() => void sleep(n), REFUSED_MS);
    return;
  }
  socket.send(JSON.stringify({ type: 'subscribe', id: 's', channel, payload: {} }));
  const lifeMs = SLEEP_MS + (n / stalled) * SLEEP_MS;
  setTimeout(() => {
    socket.terminate();
    void sleep(n);
  }, lifeMs);
}
for (let n = 0; n < stalled; n++) await sleep(n);

let timer;
process.on('message', (message) => {
  if (message.type === 'measure') {
    const before = acknowledged;
    onAnswer = publish;
    for (const { socket, channel } of writers) for (let n = 0; n < IN_FLIGHT; n++) publish(socket, channel);
    setTimeout(() => {
      onAnswer = () => undefined;
      process.send({ type: 'capacity', perSecond: ((acknowledged - before) * 1_000) / message.ms });
    }, message.ms);
  } else if (message.type === 'flood') {
    let owed = 0;
    let last = performance.now();
    timer = setInterval(() => {
      const now = performance.now();
      owed += ((now - last) * message.perSecond) / 1_000;
      last = now;
      for (let n = 0; owed >= 1; owed--, n++) {
        const { socket, channel } = writers[(count + n) % writers.length];
        // The kernel's buffers are full: what is above them is the sender's own.
        if (socket.bufferedAmount < 1_048_576) publish(socket, channel);
      }
    }, 5);
  } else {
    clearInterval(timer);
    process.send({ type: 'flooded', acknowledged, refused, offered: count });
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ type: 'ready' });
