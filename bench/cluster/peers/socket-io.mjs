import { Server } from 'socket.io';
import { Adapter } from 'socket.io-adapter';
import { eventOf } from '../../fanout/event.mjs';
import { inFlight } from '../in-flight.mjs';
import { broadcast, redisAdapter } from '../socket-io-adapters.mjs';

// A packet to a room of Socket.IO, which goes to every node.
export async function open({ role, url, kind, payload, onReceived }) {
  const { adapter, sent } = redisAdapter(kind, url);
  const namespace = new Server({ adapter }).of('/');
  if (role === 'node') {
    countPackets(onReceived);
    // A node without a member of the room is told nothing.
    namespace.adapter.addAll('somebody', new Set(['bench']));
  }
  let seq = 0;
  const publish = () => broadcast(namespace.adapter, sent, 'bench', eventOf(++seq, payload));
  return { publish, load: (count, limit) => inFlight(publish, count, limit) };
}

/** Counts what a node is told to hand to its own clients. */
function countPackets(onReceived) {
  const { broadcast } = Adapter.prototype;
  Adapter.prototype.broadcast = function (...packet) {
    onReceived(1);
    return broadcast.apply(this, packet);
  };
}
