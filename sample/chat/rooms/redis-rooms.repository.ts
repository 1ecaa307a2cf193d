import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { RealtimeError } from 'nestjs-realtime';
import { RoomsRepository, type Room, type RoomState } from './rooms.repository.js';

const ROOMS = 'chat:rooms';
const ORDER = 'chat:rooms:order';
const mutedIn = (id: string) => `chat:muted:${id}`;
const keptOutOf = (id: string, user: string) => `chat:kept-out:${id}:${user}`;

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
 * command, so a member who is muted or removed in one process is so in all.
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

  async find(id: string): Promise<RoomState | undefined> {
    const [room, muted] = await this.ask(() =>
      Promise.all([this.redis.hget(ROOMS, id), this.redis.smembers(mutedIn(id))]),
    );
    return room === null ? undefined : { ...(JSON.parse(room) as Room), muted };
  }

  async add(room: Room, max: number): Promise<'added' | 'taken' | 'full'> {
    return this.ask(
      () =>
        this.redis.eval(ADD, 2, ROOMS, ORDER, room.id, JSON.stringify(room), max) as Promise<
          'added' | 'taken' | 'full'
        >,
    );
  }

  async setMuted(id: string, user: string, muted: boolean): Promise<void> {
    const key = mutedIn(id);
    await this.ask(() => (muted ? this.redis.sadd(key, user) : this.redis.srem(key, user)));
  }

  /** The key expires by the clock of Redis, because those of the processes may differ. */
  async keepOut(id: string, user: string, ms: number): Promise<void> {
    await this.ask(() => this.redis.set(keptOutOf(id, user), '', 'PX', ms));
  }

  async keptOutFor(id: string, user: string): Promise<number> {
    return Math.max(0, await this.ask(() => this.redis.pttl(keptOutOf(id, user))));
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
