import { createRequire } from 'node:module';
import type { INestApplication, NestApplicationOptions, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { chatConfig, type ChatConfig, type Platform } from './chat.config.js';
import { ChatModule } from './chat.module.js';

/** The application, ready to listen; `main.ts` and the tests start it. The library is the same on both platforms. */
export async function createChatApp(
  { platform = 'express', config = chatConfig() }: { platform?: Platform; config?: ChatConfig } = {},
  options: NestApplicationOptions = {},
): Promise<INestApplication> {
  const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const chat = ChatModule.register(config);
  const root = { ...chat, imports: [...(chat.imports ?? []), ...(await healthModule())] };
  // The type of the adapter's application depends on the adapter, which is chosen only now.
  return NestFactory.create(root, adapter as ExpressAdapter, options);
}

/** Health needs Terminus, whose realtime support exists from Nest 12 on; the chat runs without it. */
async function healthModule(): Promise<Type[]> {
  try {
    createRequire(import.meta.url).resolve('@nestjs/terminus');
  } catch {
    return [];
  }
  return [(await import('./health/health.module.js')).HealthModule];
}
