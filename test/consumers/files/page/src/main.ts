import { RealtimeClient } from 'nestjs-realtime-client';
import { msgpackCodec } from 'nestjs-realtime-client/msgpack';

const app = document.querySelector<HTMLDivElement>('#app')!;
const query = new URLSearchParams(location.search);

function show(text: string): void {
  const line = document.createElement('p');
  line.textContent = text;
  app.append(line);
}

const codec = query.has('msgpack') ? { codec: msgpackCodec } : {};
const client = new RealtimeClient(query.get('server') ?? '/realtime', codec);
client.on('state', ({ state }) => show(`state: ${state}`));
const room = client.channel('rooms.42');
room.on('message.created', (payload, event) => show(`event ${event.seq}: ${JSON.stringify(payload)}`));
await room.subscribe();
await room.publish('message.created', { text: 'Hello' });
