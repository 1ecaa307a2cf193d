import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { chatConfig, type ChatConfig, type Platform } from './chat.config.js';
import { ChatModule } from './chat.module.js';
import { pageHeaders } from './page/page.headers.js';

/** The application, ready to listen; `main.ts` and the tests start it. The library is the same on both platforms. */
export async function createChatApp(
  { platform = 'express', config = chatConfig() }: { platform?: Platform; config?: ChatConfig } = {},
  options: NestApplicationOptions = {},
): Promise<INestApplication> {
  const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  // The type of the adapter's application depends on the adapter, which is chosen only now.
  const app = await NestFactory.create(ChatModule.register(config), adapter as ExpressAdapter, options);
  app.use(pageHeaders);
  return app;
}
