import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { decorate } from '../../support/decorate.mjs';
import { listenNest, nestApp } from '../../support/nest-app.mjs';
import { connectionsOf, serve } from '../../support/server-side.mjs';
import { CHANNEL, tokenOf, verify } from '../check.mjs';
import { Members } from '../members.mjs';

const members = new Members();

// A gateway checks in handleConnection, which Nest calls behind the upgrade.
class LobbyGateway {
  async handleConnection(client, request) {
    try {
      client.user = await verify(tokenOf(request));
    } catch {
      client.close(4801);
    }
  }

  subscribe({ id, channel }, client) {
    if (client.user === undefined) return undefined;
    members.join(channel, client);
    return { event: 'reply', data: { ref: id } };
  }
}
decorate(LobbyGateway, {
  on: [WebSocketGateway()],
  methods: {
    subscribe: { on: [SubscribeMessage('subscribe')], params: [[MessageBody()], [ConnectedSocket()]] },
  },
});

const app = await nestApp({ providers: [LobbyGateway] });
app.useWebSocketAdapter(new WsAdapter(app));
await serve(() => listenNest(app), {
  connections: () => connectionsOf(app.getHttpServer()),
  subscribed: () => ({ count: members.count(CHANNEL) }),
});
