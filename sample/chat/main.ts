import 'reflect-metadata';
import { createChatApp, type Platform } from './chat.app.js';
import { chatConfig, ChatConfigError, type ChatConfig } from './chat.config.js';

const port = Number(process.env.PORT ?? 3000);
// Nobody proves who they are here, so only this machine may come in unless you say otherwise: HOST=0.0.0.0 npm start
const host = process.env.HOST ?? '127.0.0.1';
const platform = (process.env.PLATFORM ?? 'express') as Platform;

const app = await createChatApp({ platform, config: configOrExit() });
// Ctrl-C drains: clients are told to come back, and do when the server is there again.
app.enableShutdownHooks();
try {
  await app.listen(port, host);
  console.log(`Chat is running: http://localhost:${port}`);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
  console.error(`Port ${port} is taken. Choose another one: PORT=${port + 1} npm start`);
  process.exitCode = 1;
  await app.close();
}

function configOrExit(): ChatConfig {
  try {
    return chatConfig();
  } catch (error) {
    if (!(error instanceof ChatConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
