import { MAX_EVENT_LENGTH, MAX_ID_LENGTH, MAX_KEY_LENGTH } from '../../protocol/envelope.js';
import { errorOf } from '../failure.js';
import { draftOfBatch, draftOfPublish } from '../publish-draft.js';
import { route, type AdminRoute, type RouteContext } from '../route.js';
import {
  anything,
  channelName,
  described,
  duration,
  flag,
  list,
  object,
  record,
  text,
  userId,
  whole,
} from '../schema.js';
import { count, problem, published } from './answers.js';

/** Most events of a batch. */
export const MAX_BATCH = 256;

const options = {
  payload: described(anything, 'what subscribers get; a value of JSON'),
  key: described(
    text(MAX_KEY_LENGTH),
    'conflation key: newer events of a key may replace older ones in a queue',
  ),
  ttl: described(duration, 'how long the event is worth delivering'),
  user: described(userId, 'the author that subscribers see'),
  trace: described(text(256), 'W3C `traceparent` that the event continues'),
  meta: described(record, 'what subscribers get beside the payload'),
};
const id = described(
  text(MAX_ID_LENGTH),
  'idempotency key: the same id inside the dedupe window of the channel is appended once',
);
const one = object({ channel: channelName, event: text(MAX_EVENT_LENGTH) }, { id, ...options });
const ofBatch = object({ channel: channelName, event: text(MAX_EVENT_LENGTH), id }, options);
const result = object({ ok: flag }, { seq: count, epoch: text(64), duplicate: flag, error: problem });

/** An event as it is given. */
interface Given {
  readonly channel: string;
  readonly event: string;
  readonly id?: string;
  readonly payload?: unknown;
  readonly key?: string;
  readonly ttl?: number;
  readonly user?: string;
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

const EXAMPLE = {
  channel: 'rooms.42',
  event: 'message.created',
  payload: { text: 'Good morning' },
  id: 'message-1',
};

export const PUBLISH_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'publish',
    method: 'POST',
    path: 'publish',
    authority: 'administer',
    summary: 'Publishes one event, as the application does: nothing is authorized',
    input: one,
    answer: published,
    example: EXAMPLE,
    run: async (context, event) => {
      const by = context.by();
      const [outcome] = await Promise.allSettled([publish(context, event)]);
      context.realtime.audit.record(draftOfPublish(by, event, outcome));
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    },
  }),
  route({
    id: 'publishBatch',
    method: 'POST',
    path: 'publish/batch',
    authority: 'administer',
    summary:
      'Publishes events in their order; each has a result of its own, and the same batch can be sent again',
    input: object({ events: list(ofBatch, MAX_BATCH, 1) }, {}),
    answer: object({ results: list(result, MAX_BATCH, 1), failed: whole(0, MAX_BATCH) }, {}),
    example: { events: [EXAMPLE] },
    run: async (context, { events }) => {
      const by = context.by();
      // All are handed over in this turn, so those of one channel are appended in their order.
      const settled = await Promise.allSettled(events.map((event) => publish(context, event)));
      context.realtime.audit.record(draftOfBatch(by, events, settled));
      const results = settled.map((each) =>
        each.status === 'fulfilled'
          ? { ok: true, ...each.value }
          : { ok: false, error: errorOf(each.reason) },
      );
      return { results, failed: results.filter(({ ok }) => !ok).length };
    },
  }),
];

function publish({ realtime }: RouteContext, { channel, event, payload, ...given }: Given) {
  return realtime.channel(channel).publish(event, payload, given);
}
