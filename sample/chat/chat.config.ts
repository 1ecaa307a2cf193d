import { randomBytes } from 'node:crypto';

/** What differs between the places where the chat runs. */
export interface ChatConfig {
  /** Signs the demo's log-in tokens. */
  readonly jwtSecret: string;
  /** Signs the tickets of sessions. Default: random for each process. */
  readonly ticketSecret?: string;
  /** The password of the user "moderator". Default: nobody can log in as that. */
  readonly moderatorPassword?: string;
  /** Where logs, presence and rooms are. */
  readonly broker: BrokerConfig;
  /** Names under which the chat is reached. Default: those of this machine. */
  readonly allowedHosts?: readonly string[];
}

/** Where logs, presence and rooms are, and how it is reached. */
export type BrokerConfig =
  /** Of this one process. */
  | { readonly kind: 'memory' }
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'kafka'; readonly brokers: readonly string[]; readonly replicas: number }
  | { readonly kind: 'nats'; readonly servers: readonly string[]; readonly replicas: 1 | 3 | 5 };

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

/** Which variable has the address of which broker, with an example. */
const ADDRESSES = {
  redis: ['REDIS_URL', 'redis://127.0.0.1:6379'],
  kafka: ['KAFKA_BROKERS', '127.0.0.1:9092'],
  nats: ['NATS_SERVERS', '127.0.0.1:4222'],
} as const;

/** How many servers of a cluster may keep each record. */
const REPLICAS = [1, 3, 5] as const;

/** What must be the same in every process that shares a broker, and why. */
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
 * With a broker that is a server there may be other processes, which must have the same secrets: a random one would work only
 * until a client comes from another process.
 *
 * @throws ChatConfigError naming the variable.
 */
export function chatConfig(env: NodeJS.ProcessEnv = process.env): ChatConfig {
  const { JWT_SECRET: jwtSecret, TICKET_SECRET: ticketSecret, MODERATOR_PASSWORD: moderatorPassword } = env;
  if (moderatorPassword && moderatorPassword.length < PASSWORD_LENGTH)
    throw new ChatConfigError(`MODERATOR_PASSWORD must have at least ${PASSWORD_LENGTH} characters.`);
  const broker = brokerConfig(env);
  if (broker.kind !== 'memory') {
    for (const [name, why] of Object.entries(SHARED_SECRETS)) {
      if ((env[name] ?? '').length >= SECRET_LENGTH) continue;
      throw new ChatConfigError(
        `With ${ADDRESSES[broker.kind][0]}, ${name} must be set to at least ${SECRET_LENGTH} characters, the same for every process: ${why}.`,
      );
    }
  }
  const hosts = listed(env.ALLOWED_HOSTS);
  return {
    broker,
    jwtSecret: jwtSecret || randomBytes(SECRET_LENGTH).toString('hex'),
    ...(ticketSecret ? { ticketSecret } : {}),
    ...(moderatorPassword ? { moderatorPassword } : {}),
    ...(hosts.length > 0 ? { allowedHosts: [...LOCAL_HOSTS, ...hosts] } : {}),
  };
}

/**
 * Reads BROKER, and the address that belongs to it. Where only REDIS_URL is set, it is Redis.
 *
 * @throws ChatConfigError naming the variable.
 */
function brokerConfig(env: NodeJS.ProcessEnv): BrokerConfig {
  const kind = env.BROKER || (env.REDIS_URL ? 'redis' : 'memory');
  if (kind === 'memory') return { kind };
  if (kind !== 'redis' && kind !== 'kafka' && kind !== 'nats')
    throw new ChatConfigError(`BROKER is "${kind}". Give memory, redis, kafka or nats.`);
  const [name, example] = ADDRESSES[kind];
  const addresses = listed(env[name]);
  const [first] = addresses;
  if (first === undefined)
    throw new ChatConfigError(`BROKER is ${kind}, which needs ${name}, e.g. ${name}=${example} npm start`);
  if (kind === 'redis') return { kind, url: first };
  const replicas = REPLICAS.find((number) => String(number) === (env.REPLICAS || '1'));
  if (replicas === undefined) throw new ChatConfigError(`REPLICAS is "${env.REPLICAS}". Give 1, 3 or 5.`);
  return kind === 'kafka' ? { kind, brokers: addresses, replicas } : { kind, servers: addresses, replicas };
}

/** The parts of a list with commas. */
function listed(text = ''): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
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
