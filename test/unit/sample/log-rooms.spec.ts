import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RealtimeService } from 'nestjs-realtime';
import { LogRooms } from '../../../sample/chat/rooms/log-rooms.repository.js';

/** A log with pages of two events, which another process may write to right before a publish is appended. */
class Log {
  readonly events: { seq: number; payload: unknown }[] = [];
  beforeAppend: () => void = () => undefined;
  dropped = 0;

  readonly service = {
    channel: () => ({
      history: async ({ from = 1 }: { from?: number }) => {
        const kept = this.events.filter(({ seq }) => seq >= from && seq > this.dropped);
        return { events: kept.slice(0, 2), more: kept.length > 2 };
      },
      publish: async (_event: string, payload: unknown) => {
        this.beforeAppend();
        return { seq: this.append(payload) };
      },
    }),
  } as unknown as RealtimeService;

  append(payload: unknown): number {
    const seq = this.events.length + 1;
    this.events.push({ seq, payload });
    return seq;
  }
}

const room = (id: string, owner = 'ada') => ({ id, title: id.toUpperCase(), owner });

describe('rooms in the log of a channel', () => {
  let log: Log;
  let rooms: LogRooms;

  beforeEach(() => {
    log = new Log();
    rooms = new LogRooms(log.service);
  });

  it('are none at first', async () => {
    expect(await rooms.list()).toEqual([]);
    expect(await rooms.find('tea')).toBeUndefined();
  });

  it('are listed, the oldest first, whatever number of pages the log has', async () => {
    const ids = ['e', 'd', 'c', 'b', 'a'];
    for (const id of ids) expect(await rooms.add(room(id), 10)).toBe('added');
    expect((await rooms.list()).map(({ id }) => id)).toEqual(ids);
    expect(await rooms.find('a')).toEqual(room('a'));
  });

  it('are not added twice, and nothing is written then', async () => {
    await rooms.add(room('tea'), 10);
    expect(await rooms.add(room('tea', 'grace'), 10)).toBe('taken');
    expect(log.events).toHaveLength(1);
    expect(await rooms.find('tea')).toEqual(room('tea', 'ada'));
  });

  it('are only as many as there may be', async () => {
    for (const id of ['a', 'b']) expect(await rooms.add(room(id), 2)).toBe('added');
    expect(await rooms.add(room('c'), 2)).toBe('full');
    expect(await rooms.add(room('a'), 2)).toBe('taken');
    expect(log.events).toHaveLength(2);
  });

  it('belong to the process whose event is first, where two add the same at once', async () => {
    log.beforeAppend = () => log.append({ room: room('tea', 'grace'), max: 10 });
    expect(await rooms.add(room('tea', 'ada'), 10)).toBe('taken');
    expect(await rooms.list()).toEqual([room('tea', 'grace')]);
  });

  it('leave the last place to the process whose event is first', async () => {
    log.beforeAppend = () => log.append({ room: room('tea', 'grace'), max: 1 });
    expect(await rooms.add(room('coffee'), 1)).toBe('full');
    expect(await rooms.list()).toEqual([room('tea', 'grace')]);
    expect(await rooms.find('coffee')).toBeUndefined();
  });

  it('are read from the oldest event that is kept', async () => {
    for (const id of ['a', 'b', 'c', 'd']) await rooms.add(room(id), 10);
    log.dropped = 2;
    expect((await rooms.list()).map(({ id }) => id)).toEqual(['c', 'd']);
    expect(await rooms.add(room('a'), 10)).toBe('added');
  });
});
