import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { RealtimeError } from 'nestjs-realtime';
import { RoomsRepository, type Room } from './rooms.repository.js';

const ROOMS = 'chat:rooms';
const ORDER = 'chat:rooms:order';

/** One script, because another process could take the id or the last place between a check and a write. */
const ADD = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'taken' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
return 'added'
`;

/**
 * Rooms of all processes that share a Redis. Nothing is cached: what one process writes, the others read with their next
 * command.
 */
export class RedisRooms extends RoomsRepository implements OnApplicationShutdown {
  private readonly logger = new Logger('RedisRooms');
  private trouble = '';

  private constructor(private readonly redis: Redis) {
    super();
    redis.on('error', ({ message }: Error) => {
      // The error repeats at every attempt to reconnect, and is logged once.
      if (message !== this.trouble) this.logger.error(`Redis does not answer: ${message}`);
      this.trouble = message;
    });
    redis.on('ready', () => (this.trouble = ''));
  }

  /** Connects first: a chat that cannot reach its rooms should not start. */
  static async connect(url: string): Promise<RedisRooms> {
    const redis = new Redis(url, {
      lazyConnect: true,
      connectionName: 'chat-rooms',
      // While Redis is unreachable, commands fail at once instead of waiting for it.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: 3_000,
      retryStrategy: (times) => Math.min(times * 50, 500),
    });
    const rooms = new RedisRooms(redis);
    try {
      await redis.connect();
    } catch (cause) {
      redis.disconnect();
      throw new Error('The chat cannot reach the Redis of REDIS_URL', { cause });
    }
    return rooms;
  }

  async list(): Promise<Room[]> {
    const [order, rooms] = await this.ask(() =>
      Promise.all([this.redis.lrange(ORDER, 0, -1), this.redis.hgetall(ROOMS)]),
    );
    return order.flatMap((id) => (rooms[id] === undefined ? [] : [JSON.parse(rooms[id]) as Room]));
  }

  async find(id: string): Promise<Room | undefined> {
    const room = await this.ask(() => this.redis.hget(ROOMS, id));
    return room === null ? undefined : (JSON.parse(room) as Room);
  }

  async add(room: Room, max: number): Promise<'added' | 'taken' | 'full'> {
    return this.ask(
      () =>
        this.redis.eval(ADD, 2, ROOMS, ORDER, room.id, JSON.stringify(room), max) as Promise<
          'added' | 'taken' | 'full'
        >,
    );
  }

  onApplicationShutdown(): void {
    this.redis.disconnect();
  }

  /** Runs a command. When it fails, the client is told when to try again, instead of `internal`. */
  private async ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (cause) {
      const message = 'The rooms cannot be read at the moment';
      throw new RealtimeError('rooms_unavailable', { message, retryAfterMs: 1_000, cause });
    }
  }
}
