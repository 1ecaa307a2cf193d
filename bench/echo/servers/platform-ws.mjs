import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { decorate } from '../../support/decorate.mjs';
import { listenNest, nestApp } from '../../support/nest-app.mjs';
import { serve } from '../../support/server-side.mjs';
import { addHandlers } from '../handlers.mjs';

class EchoGateway {}
const methods = addHandlers(EchoGateway, SubscribeMessage, (result, { id }) => ({
  event: 'reply',
  data: { ref: id, ...result },
}));
decorate(EchoGateway, { on: [WebSocketGateway()], methods });

const app = await nestApp({ providers: [EchoGateway] });
app.useWebSocketAdapter(new WsAdapter(app));
await serve(() => listenNest(app));
