import type { RealtimeService } from 'nestjs-realtime';
import type { BrokerConfig } from '../chat.config.js';
import { LogRooms } from './log-rooms.repository.js';
import { MemoryRooms } from './memory-rooms.repository.js';
import { RedisRooms } from './redis-rooms.repository.js';
import type { RoomsRepository } from './rooms.repository.js';

/** Rooms are where the logs are, so that a chat needs no second server. */
export function roomsOf(
  broker: BrokerConfig,
  realtime: RealtimeService,
): RoomsRepository | Promise<RoomsRepository> {
  switch (broker.kind) {
    case 'memory':
      return new MemoryRooms();
    case 'redis':
      return RedisRooms.connect(broker.url);
    case 'kafka':
    case 'nats':
      return new LogRooms(realtime);
  }
}
