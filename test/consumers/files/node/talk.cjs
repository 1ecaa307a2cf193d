const { RealtimeClient } = require('nestjs-realtime-client');
const { msgpackCodec } = require('nestjs-realtime-client/msgpack');
const { WebSocket } = require('ws');

async function main(url) {
  const client = new RealtimeClient(url, { webSocket: WebSocket, codec: msgpackCodec });
  const room = client.channel('rooms.42');
  const received = new Promise((resolve) => room.on('message.created', resolve));
  await room.subscribe();
  await room.publish('message.created', { text: 'Hello from cjs' });
  console.log(JSON.stringify(await received));
  await client.close();
}

void main(process.argv[2]);
