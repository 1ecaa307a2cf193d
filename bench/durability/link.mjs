import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * A network between a master and its replica: what the master sends arrives after `delayMs`, and is lost when the link is
 * cut before. Two processes on one machine have no such thing: what a dead process wrote the system still delivers.
 */
export async function openLink(port, delayMs) {
  const sockets = new Set();
  const server = createServer((replica) => {
    const master = connect({ port, host: '127.0.0.1', noDelay: true });
    replica.setNoDelay(true);
    for (const socket of [replica, master]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        replica.destroy();
        master.destroy();
      });
    }
    replica.on('data', (chunk) => master.write(chunk));
    master.on('data', (chunk) => {
      setTimeout(() => {
        if (!replica.destroyed) replica.write(chunk);
      }, delayMs);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    cut() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
