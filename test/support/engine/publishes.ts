import type { ErrorBody } from '../../../lib/protocol/error-body.js';
import type { FakeConnection } from './fake-connection.js';
import { quiet } from './harness.js';

/** A publish of the event `said` to `rooms.1`. */
export const publishOf = (id: string, payload: unknown, more: object = {}) => ({
  type: 'publish',
  id,
  channel: 'rooms.1',
  event: 'said',
  payload,
  ...more,
});

/** What publishes were answered with, in order: id, `seq` and `duplicate`; or id and the code of the error. */
export async function publishAnswers(connection: FakeConnection): Promise<unknown[]> {
  await quiet();
  return connection.take().flatMap(({ type, ref, payload }) => {
    if (type === 'reply')
      return [[ref, (payload as { seq: number }).seq, (payload as { duplicate: boolean }).duplicate]];
    return type === 'error' ? [[ref, (payload as ErrorBody).code]] : [];
  });
}
