import { randomBytes } from 'node:crypto';

/** What differs from one place where the chat runs to the next. */
export interface ChatConfig {
  /** Signs the demo's log-in tokens. */
  readonly jwtSecret: string;
  /** Signs the tickets of sessions. Not set: random for each process. */
  readonly ticketSecret?: string;
  /** Where logs, presence and rooms live. Not set: in the memory of this one process. */
  readonly redisUrl?: string;
}

/** On what the chat is served. */
export type Platform = 'express' | 'fastify';

/** Where the chat is served. */
export interface ListenConfig {
  readonly port: number;
  readonly host: string;
  readonly platform: Platform;
}

/** Short, as tokens of a realtime connection should be: the client fetches the next one ahead of time, without reconnecting. */
export const TOKEN_LIFETIME = '10m';

const SECRET_LENGTH = 32;

/** What has to be the same in every process that shares a Redis. */
const SHARED_SECRETS = {
  JWT_SECRET: 'a token of one process must be good at the others',
  TICKET_SECRET: 'a client must be known again when it comes back to another process',
} as const;

/** Says what to set. `main.ts` prints it without a stack. */
export class ChatConfigError extends Error {
  override readonly name = 'ChatConfigError';
}

/**
 * Reads the environment. Alone, the process makes its own secrets at each start: pages that are open fetch a new token by
 * themselves and stay. With REDIS_URL there may be other processes, which must have the same secrets; one that started with a
 * random one would work until the first client comes to it from another.
 *
 * @throws ChatConfigError naming the variable.
 */
export function chatConfig(env: NodeJS.ProcessEnv = process.env): ChatConfig {
  const { REDIS_URL: redisUrl, JWT_SECRET: jwtSecret, TICKET_SECRET: ticketSecret } = env;
  if (redisUrl) {
    for (const [name, why] of Object.entries(SHARED_SECRETS)) {
      if ((env[name] ?? '').length >= SECRET_LENGTH) continue;
      throw new ChatConfigError(
        `With REDIS_URL, ${name} must be set to at least ${SECRET_LENGTH} characters, the same for every process: ${why}.`,
      );
    }
  }
  return {
    jwtSecret: jwtSecret || randomBytes(SECRET_LENGTH).toString('hex'),
    ...(ticketSecret ? { ticketSecret } : {}),
    ...(redisUrl ? { redisUrl } : {}),
  };
}

/**
 * Reads where to serve. Nobody proves who they are here, so only this machine may come in unless HOST says otherwise.
 *
 * @throws ChatConfigError naming the variable.
 */
export function listenConfig(env: NodeJS.ProcessEnv = process.env): ListenConfig {
  const port = Number(env.PORT || 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ChatConfigError(`PORT is "${env.PORT}". Give a number up to 65535, e.g. PORT=3001 npm start`);
  }
  const platform = env.PLATFORM || 'express';
  if (platform !== 'express' && platform !== 'fastify') {
    throw new ChatConfigError(`PLATFORM is "${platform}". Give express or fastify.`);
  }
  return { port, host: env.HOST || '127.0.0.1', platform };
}
