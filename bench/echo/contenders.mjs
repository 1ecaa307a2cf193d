import { fileURLToPath } from 'node:url';
import { RequestTemplate } from '../support/request-template.mjs';
import { joins } from '../support/subscribers.mjs';
import { payload } from './request.mjs';

const { id } = RequestTemplate;
const script = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));

export const servers = {
  ws: { script: script('ws'), join: joins.plain },
  platformWs: { script: script('platform-ws'), join: joins.plain },
  socketIo: { script: script('socket-io'), join: joins.socketIo },
  library: { script: script('library'), join: joins.library(['bench.echo']) },
};

const gateway = (event) => JSON.stringify({ event, data: { id, ...payload } });
const request = (event) => JSON.stringify({ type: 'request', id, channel: 'bench.echo', event, payload });

/** A row each: which server is asked, what, and what must be in the answer. */
export const rows = {
  ws: { name: 'ws, JSON.parse and JSON.stringify', server: 'ws', text: request('bare') },
  socketIo: {
    name: 'Socket.IO, acknowledgement',
    server: 'socketIo',
    text: `421${JSON.stringify(['rename', { id, ...payload }])}`,
  },
  gateway: { name: '@nestjs/platform-ws', server: 'platformWs', text: gateway('bare') },
  gatewayGuard: { name: '@nestjs/platform-ws, guard', server: 'platformWs', text: gateway('guard') },
  gatewayPipe: { name: '@nestjs/platform-ws, pipe', server: 'platformWs', text: gateway('pipe') },
  gatewayInterceptor: {
    name: '@nestjs/platform-ws, interceptor',
    server: 'platformWs',
    text: gateway('interceptor'),
  },
  gatewayValidation: {
    name: '@nestjs/platform-ws, ValidationPipe',
    server: 'platformWs',
    text: gateway('validation'),
  },
  gatewayGuardAndPipe: {
    name: '@nestjs/platform-ws, guard and pipe',
    server: 'platformWs',
    text: gateway('guardAndPipe'),
  },
  bare: { name: 'nestjs-realtime, @OnRequest', server: 'library', text: request('bare') },
  guard: { name: 'nestjs-realtime, guard', server: 'library', text: request('guard') },
  pipe: { name: 'nestjs-realtime, pipe', server: 'library', text: request('pipe') },
  interceptor: { name: 'nestjs-realtime, interceptor', server: 'library', text: request('interceptor') },
  validation: { name: 'nestjs-realtime, ValidationPipe', server: 'library', text: request('validation') },
  guardAndPipe: { name: 'nestjs-realtime, guard and pipe', server: 'library', text: request('guardAndPipe') },
  connection: {
    name: 'nestjs-realtime, @OnRequest without a channel',
    server: 'library',
    text: JSON.stringify({ type: 'request', id, event: 'bareOnConnection', payload }),
  },
  publish: {
    name: 'nestjs-realtime, publish, acknowledged, seen by nobody',
    server: 'library',
    answer: '"duplicate":false',
    text: JSON.stringify({ type: 'publish', id, channel: 'bench.publish', event: 'renamed', payload }),
  },
};
