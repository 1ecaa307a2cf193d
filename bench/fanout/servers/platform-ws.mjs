import { WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { decorate } from '../../support/decorate.mjs';
import { listenNest, nestApp } from '../../support/nest-app.mjs';
import { writtenBy } from '../../support/server-side.mjs';
import { eventText } from '../event.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// A gateway of Nest on ws. It has no rooms, so an application loops over the clients.
class FanOutGateway {}
decorate(FanOutGateway, { on: [WebSocketGateway()], properties: { server: WebSocketServer() } });

const app = await nestApp({ providers: [FanOutGateway] });
app.useWebSocketAdapter(new WsAdapter(app));
const gateway = app.get(FanOutGateway);
let seq = 0;
await serveFanOut({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish(payload) {
    const text = eventText(++seq, payload);
    for (const client of gateway.server.clients) client.send(text);
  },
});
