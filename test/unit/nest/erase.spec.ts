import { describe, expect, it } from '@jest/globals';
import type { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import { ModerationHandle } from '../../../lib/nest/moderation-handle.js';

describe('erasing by the application', () => {
  const calls: unknown[] = [];
  const engine = {
    erase: (...given: unknown[]) => {
      calls.push(given);
      return Promise.resolve({ confirmed: ['n'], missing: [], erased: [7] });
    },
  };
  const moderation = new ModerationHandle({ engine } as unknown as RealtimeRuntime);

  it('passes on which events, by whom and why (G29)', async () => {
    const options = { by: 'mod:7', reason: 'spam' };
    for (const what of [{ seq: 7 }, { seqs: [7, 8] }, { user: 'u7' }])
      expect(await moderation.erase('rooms.1', what, options)).toMatchObject({ erased: [7] });
    expect(calls).toEqual([
      ['rooms.1', { seq: 7 }, options],
      ['rooms.1', { seqs: [7, 8] }, options],
      ['rooms.1', { user: 'u7' }, options],
    ]);
  });

  it('refuses a pattern, as the literal name of which nothing would be found, and asks nobody (G29)', async () => {
    calls.length = 0;
    for (const channel of ['rooms.:room', ':all', 'rooms..1', '', undefined, 7])
      await expect(moderation.erase(channel as string, { user: 'u7' })).rejects.toMatchObject({
        code: 'bad_request',
        message: expect.stringMatching(/^erase: /),
      });
    await expect(moderation.erase('rooms.:room', { seq: 1 })).rejects.toThrow(
      'erase: give the name of one channel, no pattern',
    );
    expect(calls).toEqual([]);
    await moderation.erase('rooms.a:b', { seq: 1 });
    expect(calls).toHaveLength(1);
  });

  it('refuses anything but one way to say which events, and asks nobody (G29)', async () => {
    calls.length = 0;
    const wrong = [
      undefined,
      null,
      7,
      {},
      { seq: '7' },
      { seqs: 7 },
      { user: 7 },
      { user: '' },
      { seq: 7, user: 'u' },
    ];
    for (const what of wrong)
      await expect(moderation.erase('rooms.1', what as never)).rejects.toMatchObject({
        code: 'bad_request',
      });
    expect(calls).toEqual([]);
  });
});
