import { connect } from 'node:net';

// A process of its own that sends events to a server at a rate, whatever the server does: a timer that is late sends what
// is due, with the time at which it was due. Started with the bytes of a payload.
const bytes = Number(process.argv[2]);
const filler = 'x'.repeat(Math.max(0, bytes - JSON.stringify({ at: 1e15, filler: '' }).length));
const nowMicros = () => Number(process.hrtime.bigint() / 1_000n);

let timer;
let socket;
process.on('message', async (message) => {
  clearInterval(timer);
  socket?.end();
  socket = undefined;
  if (message.type === 'start') start(message);
  process.send({});
});
process.on('disconnect', () => process.exit());

function start({ port, perSecond }) {
  socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  const startedAt = nowMicros();
  const intervalMicros = 1e6 / perSecond;
  let sent = 0;
  timer = setInterval(() => {
    const due = Math.floor((nowMicros() - startedAt) / intervalMicros);
    let lines = '';
    while (sent < due) {
      sent += 1;
      lines += `${JSON.stringify({ at: Math.round(startedAt + sent * intervalMicros), filler })}\n`;
    }
    if (lines !== '') socket.write(lines);
  }, 1);
}
