import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { connectionsOf, serve } from '../../support/server-side.mjs';
import { CHANNEL, SECRET } from '../check.mjs';

class LobbyChannel {}
decorate(LobbyChannel, { on: [PublicChannel(), Channel(CHANNEL)] });

const { app } = await libraryApp({
  providers: [LobbyChannel],
  options: { auth: { jwt: { secret: SECRET, algorithms: ['HS256'] } } },
});
await serve(() => listenNest(app), { connections: () => connectionsOf(app.getHttpServer()) });
