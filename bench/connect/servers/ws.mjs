import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { connectionsOf, listenOn, serve } from '../../support/server-side.mjs';
import { CHANNEL, tokenOf, verify } from '../check.mjs';
import { costOfChecks } from '../checks.mjs';
import { Members } from '../members.mjs';

// Control row: the same check before the upgrade, and a join that is asked for and answered.
const http = createServer();
const wss = new WebSocketServer({ noServer: true });
const members = new Members();
http.on('upgrade', async (request, socket, head) => {
  let user;
  try {
    user = await verify(tokenOf(request));
  } catch {
    return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
  }
  wss.handleUpgrade(request, socket, head, (ws) => {
    ws.user = user;
    ws.on('message', (data) => {
      const { type, id, channel } = JSON.parse(data);
      if (type !== 'subscribe') return;
      members.join(channel, ws);
      ws.send(JSON.stringify({ type: 'reply', ref: id, ts: Date.now(), payload: {} }));
    });
  });
});
await serve(() => listenOn(http), {
  connections: () => connectionsOf(http),
  checks: async ({ tokens }) => ({ costs: await costOfChecks(tokens) }),
  subscribed: () => ({ count: members.count(CHANNEL) }),
});
