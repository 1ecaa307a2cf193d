import { afterEach, describe, expect, it } from '@jest/globals';
import { context, propagation, trace } from '@opentelemetry/api';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Authorize, Channel, OnPublish } from '../../../lib/nest/index.js';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { LastSpans } from './recipes/last-spans.js';
import { byName, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

/** What a backend was sent. */
interface Received {
  readonly url: string;
  readonly body: string;
}

/** A span, as far as the test looks at it. */
interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly links?: readonly { readonly spanId: string }[];
}

/** The body of an export over OTLP as JSON. */
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly {
        readonly key: string;
        readonly value: { readonly stringValue?: string };
      }[];
    };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly SentSpan[];
    }[];
  }[];
}

/** Takes whatever is sent to it, in place of a collector. */
class Backend {
  readonly received: Received[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Backend> {
    const server = createServer((request, response) => {
      void read(request).then((body) => {
        backend.received.push({ url: request.url ?? '', body });
        response.end('{}');
      });
    });
    const backend = new Backend(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
}

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe', 'publish')
  can(): boolean {
    return true;
  }
  @OnPublish('said')
  said(): void {}
}

let backend: Backend | undefined;
let running: TestApp | undefined;
const given = { ...process.env };
afterEach(async () => {
  await running?.close();
  await backend?.stop();
  [running, backend] = [undefined, undefined];
  for (const api of [trace, context, propagation]) api.disable();
  process.env = { ...given };
});

/** Loads a recipe as `--import` does: before the application, with its environment. */
async function load(recipe: string, env: Readonly<Record<string, string>>): Promise<void> {
  Object.assign(process.env, env);
  await import(join(import.meta.dirname, 'recipes', recipe));
}

/** An application that is used by one client and closed. */
async function useAndClose(): Promise<readonly string[]> {
  const app = await startApp(PLATFORMS[0][1], {
    providers: [Rooms, LastSpans],
    realtime: { auth: byName, tracing: openTelemetry() },
  });
  running = app;
  const client = await app.connect('alice');
  await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
  await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
  await client.next();
  await app.close();
  running = undefined;
  return app.logger.at('warn').filter((line) => line.includes('tracing'));
}

describe('the examples of docs/tracing.md', () => {
  it('over OTLP: a collector has the spans of a publish, its delivery and the first message, with their links, when the application has ended', async () => {
    backend = await Backend.start();
    await load('otlp.mjs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${backend.host}`,
      OTEL_TRACES_SAMPLER: 'always_on',
    });
    expect(await useAndClose()).toEqual([]);
    const exports = backend.received.map(({ url, body }) => {
      expect(url).toBe('/v1/traces');
      return JSON.parse(body) as Export;
    });
    const resources = exports.flatMap(({ resourceSpans }) => resourceSpans);
    for (const { resource } of resources)
      expect(resource.attributes).toContainEqual({ key: 'service.name', value: { stringValue: 'chat' } });
    const spans = resources
      .flatMap(({ scopeSpans }) => scopeSpans)
      .filter(({ scope }) => scope.name === 'nestjs-realtime')
      .flatMap((scope) => scope.spans);
    expectConnected(spans);
  });
});

/** The one span of each name is the child of the one that it has to be, and links to the publish. */
function expectConnected(spans: readonly SentSpan[]): void {
  const one = (name: string): SentSpan => {
    const [found, ...others] = spans.filter((span) => span.name === name);
    if (found === undefined || others.length > 0)
      throw new Error(`Not one "${name}" among ${spans.map((span) => span.name).join(', ')}`);
    return found;
  };
  const [connect, subscribe, publish] = [
    one('connect'),
    one('subscribe rooms.:room'),
    one('publish rooms.:room'),
  ];
  expect(connect.parentSpanId ?? '').toBe('');
  expect(one('authenticate').parentSpanId).toBe(connect.spanId);
  expect(subscribe.parentSpanId).toBe(connect.spanId);
  expect(publish.parentSpanId).toBe(connect.spanId);
  expect(one('append rooms.:room').parentSpanId).toBe(publish.spanId);
  expect(one('deliver rooms.:room')).toMatchObject({
    parentSpanId: publish.spanId,
    traceId: publish.traceId,
  });
  const first = one('first_message rooms.:room');
  expect(first.parentSpanId).toBe(subscribe.spanId);
  expect(first.links?.map(({ spanId }) => spanId)).toEqual([publish.spanId]);
}
