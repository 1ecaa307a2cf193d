import { once } from 'node:events';
import { createServer } from 'node:net';

/** Where events come in from outside: a line of JSON each, on a socket of its own, the same for every server. */
export async function openIntake(publish) {
  const server = createServer((socket) => {
    let rest = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) publish(JSON.parse(line));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}
