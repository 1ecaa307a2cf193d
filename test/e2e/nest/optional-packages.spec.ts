import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  copyFileSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WireClient } from '../../support/wire/client.js';

// Which Nest this project runs on decides where its packages are.
const nest = join(dirname(createRequire(import.meta.url).resolve('@nestjs/core/package.json')), '..');
const root = join(import.meta.dirname, '../../..');

/** An application with a gateway, as users build it; written without decorators because nothing compiles it. */
const MAIN = `
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Channel, PublicChannel, RealtimeModule } from 'nestjs-realtime';
import { kafkaBroker } from 'nestjs-realtime/kafka';
import { natsBroker } from 'nestjs-realtime/nats';
import { redisBroker } from 'nestjs-realtime/redis';
import { RealtimeAdminModule } from 'nestjs-realtime/admin';

class Gateway {
  ping(client, data) {
    return { event: 'pong', data };
  }
}
SubscribeMessage('ping')(Gateway.prototype, 'ping', Object.getOwnPropertyDescriptor(Gateway.prototype, 'ping'));
WebSocketGateway()(Gateway);
PublicChannel()(Gateway);
Channel('rooms.:room', { expose: ['channel', 'gateway'] })(Gateway);

class AppModule {}
const jwks = { issuer: 'https://id.example', url: 'https://id.example/keys' };
const options = {
  anonymous: { auth: { anonymous: true } },
  jwt: { auth: { jwt: { secret: 'x'.repeat(32) } } },
  jwks: { auth: { jwt: { jwks } } },
  redis: { auth: { anonymous: true }, broker: () => redisBroker({ url: 'redis://127.0.0.1:1' }) },
  kafka: { auth: { anonymous: true }, broker: () => kafkaBroker({ brokers: '127.0.0.1:1' }) },
  nats: { auth: { anonymous: true }, broker: () => natsBroker({ servers: '127.0.0.1:1' }) },
  admin: { auth: { anonymous: true } },
  dashboard: { auth: { anonymous: true } },
}[process.argv[2]];
const imports = options === undefined ? [] : [RealtimeModule.forRoot(options)];
const admin = { guards: [{ canActivate: () => true }], authorityOf: () => 'read', by: () => 'ada' };
if (process.argv[2] === 'admin') imports.push(RealtimeAdminModule.forRoot(admin));
if (process.argv[2] === 'dashboard') imports.push(RealtimeAdminModule.forRoot({ ...admin, dashboard: true }));
Module({ imports, providers: [Gateway] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false }).catch((error) => {
  console.error(error.message);
  process.exit(2);
});
await app.listen(0, '127.0.0.1').catch((error) => {
  console.error(error.message);
  process.exit(2);
});
process.send({ port: app.getHttpServer().address().port });
process.on('message', async () => {
  await app.close();
  process.disconnect();
});
`;

/** Packages that an application may do without. */
const OPTIONAL = ['platform-socket.io', 'platform-ws', 'jwt', 'terminus', 'swagger'];
const ALSO_OPTIONAL = [
  '@nats-io',
  '@platformatic',
  'class-validator',
  'class-transformer',
  'ioredis',
  'jose',
  'uplot',
];

describe('an application that installed none of the optional packages', () => {
  let folder: string;

  beforeAll(() => {
    if (!existsSync(join(root, 'dist/index.js')))
      throw new Error('dist/ is missing: run this through `npm test`.');
    folder = mkdtempSync(join(tmpdir(), 'realtime-adapter-'));
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, '@nestjs'), { recursive: true });
    mkdirSync(join(modules, 'nestjs-realtime'));
    const scoped = new Set(readdirSync(nest).filter((name) => !OPTIONAL.includes(name)));
    for (const name of scoped) symlinkSync(join(nest, name), join(modules, '@nestjs', name));
    for (const source of [join(nest, '..'), join(root, 'node_modules')]) {
      for (const name of readdirSync(source)) {
        if (name.startsWith('.') || ALSO_OPTIONAL.includes(name) || existsSync(join(modules, name))) continue;
        symlinkSync(join(source, name), join(modules, name));
      }
    }
    symlinkSync(join(root, 'dist'), join(modules, 'nestjs-realtime/dist'));
    copyFileSync(join(root, 'package.json'), join(modules, 'nestjs-realtime/package.json'));
    writeFileSync(join(folder, 'main.mjs'), MAIN);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(
    mode: 'alone' | 'anonymous' | 'jwt' | 'jwks' | 'redis' | 'kafka' | 'nats' | 'admin' | 'dashboard',
  ) {
    // Packages are found where they are linked, not where they really are: one of them is missing on purpose.
    const flags = ['--preserve-symlinks', '--preserve-symlinks-main'];
    const child = spawn(process.execPath, [...flags, 'main.mjs', mode], {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exit = new Promise<number | null>((resolve) => child.on('exit', resolve));
    const port = new Promise<number>((resolve, reject) => {
      child.on('message', (message) => resolve((message as { port: number }).port));
      void exit.then((code) => reject(new Error(`The application ended with ${code}: ${output}`)));
    });
    port.catch(() => undefined);
    return { child, exit, port };
  }

  it('Nest alone ends the process, as its gateway has no adapter', async () => {
    await expect(run('alone').exit).resolves.toBe(1);
  });

  it('without Swagger the admin API answers all the same', async () => {
    const { child, exit, port } = run('admin');
    const answer = await fetch(`http://127.0.0.1:${await port}/realtime-admin/connections/count`);
    expect([answer.status, await answer.json()]).toEqual([200, { count: 0, missing: [] }]);
    child.send('close');
    await exit;
  });

  it('with RealtimeModule it runs, and serves the gateway on realtime connections', async () => {
    const { child, exit, port } = run('anonymous');
    const client = await WireClient.open(`ws://127.0.0.1:${await port}/realtime`);
    await client.hello();
    // The stand-in admits users only, so an anonymous client learns that the event is there and not for it (G10).
    await expect(client.error({ type: 'request', event: 'ping', payload: 1 })).resolves.toMatchObject({
      code: 'forbidden',
    });
    await client.subscribe('rooms.1');
    await expect(
      client.reply({ type: 'request', channel: 'rooms.1', event: 'ping', payload: 1 }),
    ).resolves.toEqual({
      event: 'pong',
      data: 1,
    });
    child.send('close');
    await client.expectClose(4001);
    await expect(exit).resolves.toBe(0);
  });

  it('with a broker on Redis it fails at boot, not at its import, and names the package to install', async () => {
    await expect(run('redis').port).rejects.toThrow(
      'redisBroker: needs the package ioredis, version 5.3 or newer. Install it: npm i ioredis@6',
    );
  });

  it('with a broker on Kafka it fails at boot, not at its import, and names the package to install', async () => {
    await expect(run('kafka').port).rejects.toThrow(
      'kafkaBroker: needs the package @platformatic/kafka. Install it: npm i @platformatic/kafka@1',
    );
  });

  it('with a broker on NATS it fails at boot, not at its import, and names the packages to install', async () => {
    await expect(run('nats').port).rejects.toThrow(
      'natsBroker: needs the packages @nats-io/transport-node and @nats-io/jetstream. ' +
        'Install them: npm i @nats-io/transport-node @nats-io/jetstream',
    );
  });

  it('with the dashboard it fails at boot and names the package to install', async () => {
    await expect(run('dashboard').port).rejects.toThrow(
      '- RealtimeAdminModule: dashboard: needs the package "uplot", which draws its charts and is not installed. ' +
        'Install it: npm install uplot.',
    );
  });

  it('with auth.jwt it fails at boot and names the package to install', async () => {
    await expect(run('jwt').port).rejects.toThrow(
      '- auth.jwt: cannot be used. auth.jwt needs the package @nestjs/jwt, of the major version of your Nest. ' +
        'Install it: npm i @nestjs/jwt@11 for Nest 11, npm i @nestjs/jwt@12 for Nest 12',
    );
  });

  it('with auth.jwt.jwks it fails at boot and names the package to install', async () => {
    await expect(run('jwks').port).rejects.toThrow(
      '- auth.jwt: cannot be used. auth.jwt.jwks needs the package jose. Install it: npm i jose@6',
    );
  });
});
