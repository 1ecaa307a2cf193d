import type { TracerProvider } from '@opentelemetry/api';

/** What becomes of a `traceparent` that a client sends. */
export type ClientTraces = 'link' | 'parent' | 'ignore';

/** Options of `openTelemetry()`. */
export interface OpenTelemetryOptions {
  /**
   * What becomes of a `traceparent` that a client sends, with a command or as a header of its handshake. `link`: the span of the
   * command names it as a link, and whether it is sampled is this server's to say. `parent`: the span continues it; then a client
   * decides, by its `sampled` flag and the sampler's `ParentBased`, how much this server records, so set it only where all clients are
   * your own. `ignore`: nothing. What is no `traceparent` of version 00 is ignored in any case. Default `'link'`.
   */
  readonly clients?: ClientTraces;
  /** Whether spans have the id of the user (`user.id`). Default `false`: traces are often kept where ids of users may not be. */
  readonly userIds?: boolean;
  /**
   * Whether spans have the names of channels (`messaging.destination.name`), which often hold ids of users. The pattern of a channel
   * (`messaging.destination.template`) they have in any case. Default `false`.
   */
  readonly channelNames?: boolean;
  /**
   * Which share of the traces that begin at this node are offered to the tracer, from 0 to 1, decided before anything is made for
   * them, so that the others cost next to nothing: a sampler of the SDK is asked with a span, its ids and its attributes. It is for
   * what has no parent. What has one goes by the `sampled` flag of that: commands of a page that starts by their connect, publishes of
   * the application by the span in which it makes them, deliveries by the publish, also of another node. The sampler of the SDK is
   * asked for what is offered, so the two multiply: give the SDK one that samples all, such as its default. Spans that the application
   * makes in what is not offered have a parent that is not sampled. Default: all, and the sampler of the SDK decides.
   */
  readonly sampleRatio?: number;
  /** Makes the tracer. Default: the provider that the OpenTelemetry SDK has registered when the application starts. */
  readonly tracerProvider?: TracerProvider;
}

/** Options with their defaults. */
export interface TracingSettings extends Required<
  Omit<OpenTelemetryOptions, 'tracerProvider' | 'sampleRatio'>
> {
  readonly sampleRatio: number | undefined;
}

const CLIENTS: readonly unknown[] = ['link', 'parent', 'ignore'] satisfies ClientTraces[];

/** @throws RangeError for what is none of the options. */
export function settingsOf({
  clients = 'link',
  userIds = false,
  channelNames = false,
  sampleRatio,
}: OpenTelemetryOptions): TracingSettings {
  if (!CLIENTS.includes(clients))
    throw new RangeError(
      `openTelemetry: clients is ${JSON.stringify(clients)}. Give 'link', 'parent' or 'ignore'`,
    );
  for (const [name, value] of Object.entries({ userIds, channelNames }))
    if (typeof value !== 'boolean')
      throw new RangeError(`openTelemetry: ${name} is ${JSON.stringify(value)}. Give true or false`);
  if (sampleRatio !== undefined && !isRatio(sampleRatio))
    throw new RangeError(
      `openTelemetry: sampleRatio is ${typeof sampleRatio === 'number' ? sampleRatio : JSON.stringify(sampleRatio)}. Give a number from 0 to 1, e.g. 0.01`,
    );
  return { clients, userIds, channelNames, sampleRatio };
}

function isRatio(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1;
}
