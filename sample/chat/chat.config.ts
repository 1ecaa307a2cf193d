import { randomBytes } from 'node:crypto';

/** What differs between the places where the chat runs. */
export interface ChatConfig {
  /** Signs the demo's log-in tokens. */
  readonly jwtSecret: string;
  /** Signs the tickets of sessions. Default: random for each process. */
  readonly ticketSecret?: string;
  /** The password of the user "moderator". Default: nobody can log in as that. */
  readonly moderatorPassword?: string;
  /** The Redis of logs, presence and rooms. Default: they are in the memory of this process. */
  readonly redisUrl?: string;
  /** Names under which the chat is reached. Default: those of this machine. */
  readonly allowedHosts?: readonly string[];
}

/** The names of this machine for itself. */
export const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** The HTTP framework that serves the chat. */
export type Platform = 'express' | 'fastify';

/** Where the chat is served. */
export interface ListenConfig {
  readonly port: number;
  readonly host: string;
  readonly platform: Platform;
}

/** Short, as for tokens of a realtime connection: the client fetches the next one in time, without reconnecting. */
export const TOKEN_LIFETIME = '10m';

const SECRET_LENGTH = 32;
const PASSWORD_LENGTH = 12;

/** What must be the same in every process that shares a Redis, and why. */
const SHARED_SECRETS = {
  JWT_SECRET: 'a token of one process must be valid in the others',
  TICKET_SECRET: 'a client that reconnects to another process must be recognized',
} as const;

/** A wrong variable; the message says what to set. `main.ts` prints it without a stack. */
export class ChatConfigError extends Error {
  override readonly name = 'ChatConfigError';
}

/**
 * Reads the environment. A single process makes its own secrets at each start; open pages fetch a new token by themselves.
 * With REDIS_URL there may be other processes, which must have the same secrets: a random one would work only until a client
 * comes from another process.
 *
 * @throws ChatConfigError naming the variable.
 */
export function chatConfig(env: NodeJS.ProcessEnv = process.env): ChatConfig {
  const {
    REDIS_URL: redisUrl,
    JWT_SECRET: jwtSecret,
    TICKET_SECRET: ticketSecret,
    MODERATOR_PASSWORD: moderatorPassword,
  } = env;
  if (moderatorPassword && moderatorPassword.length < PASSWORD_LENGTH)
    throw new ChatConfigError(`MODERATOR_PASSWORD must have at least ${PASSWORD_LENGTH} characters.`);
  if (redisUrl) {
    for (const [name, why] of Object.entries(SHARED_SECRETS)) {
      if ((env[name] ?? '').length >= SECRET_LENGTH) continue;
      throw new ChatConfigError(
        `With REDIS_URL, ${name} must be set to at least ${SECRET_LENGTH} characters, the same for every process: ${why}.`,
      );
    }
  }
  const hosts = (env.ALLOWED_HOSTS ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  return {
    jwtSecret: jwtSecret || randomBytes(SECRET_LENGTH).toString('hex'),
    ...(ticketSecret ? { ticketSecret } : {}),
    ...(moderatorPassword ? { moderatorPassword } : {}),
    ...(redisUrl ? { redisUrl } : {}),
    ...(hosts.length > 0 ? { allowedHosts: [...LOCAL_HOSTS, ...hosts] } : {}),
  };
}

/**
 * Reads where to serve. Users need no password, so only this machine may connect unless HOST is set.
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
