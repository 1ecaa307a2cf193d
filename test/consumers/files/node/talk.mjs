import { RealtimeClient } from 'nestjs-realtime-client';
import { msgpackCodec } from 'nestjs-realtime-client/msgpack';
import { WebSocket } from 'ws';

const [, , url] = process.argv;
const client = new RealtimeClient(url, { webSocket: WebSocket, codec: msgpackCodec });
const room = client.channel('rooms.42');
const received = new Promise((resolve) => room.on('message.created', resolve));
await room.subscribe();
await room.publish('message.created', { text: 'Hello from mjs' });
console.log(JSON.stringify(await received));
await client.close();
