// A service without clients that emits to every room at a steady rate. `emit` does not say when Redis has it, so the adapter is asked
// what `emit` asks of it, and waited for.
import { settingsOf } from '../../floods/child.mjs';
import { roomOf } from '../load.mjs';
import { serveSource } from '../serve-source.mjs';
import { recovering } from '../socket-io-server.mjs';

const { io } = recovering(settingsOf().redis);
const { adapter } = io.of('/');
serveSource(({ room, payload }) =>
  adapter.broadcast(
    { type: 2, data: ['tick', payload] },
    { rooms: new Set([roomOf(room)]), except: new Set(), flags: {} },
  ),
);
