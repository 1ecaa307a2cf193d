import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChatApp } from './chat.app.js';
import { chatConfig, ChatConfigError, listenConfig } from './chat.config.js';

const { port, host, platform } = orExit(listenConfig);
const app = await createChatApp({ platform, config: orExit(chatConfig) });
// Ctrl-C drains: clients are asked to reconnect, and do when the server runs again.
app.enableShutdownHooks();
try {
  await app.listen(port, host);
  // With PORT=0 the system chooses a port.
  const server = app.getHttpServer() as Server;
  console.log(`Chat is running: http://localhost:${(server.address() as AddressInfo).port}`);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
  console.error(`Port ${port} is taken. Choose another one: PORT=${port + 1} npm start`);
  process.exitCode = 1;
  await app.close();
}

function orExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ChatConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
