import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent, createServer, get, type Server } from 'node:http';
import { leave } from '../../../../lib/transports/http/leaving.js';
import { RequestRouter, type MethodHandler } from '../../../../lib/transports/http/request-router.js';
import { until } from '../../../support/until.js';
import { closeServers, listen } from '../support/test-server.js';

afterEach(closeServers);

const answering =
  (text: string): MethodHandler =>
  (_req, res) =>
    void res.end(text);

function claim(server: Server, path: string, text: string, methods = ['GET']) {
  const handler = answering(text);
  return { handler, release: RequestRouter.of(server).claimMethods(path, methods, handler) };
}

const ask = (port: number, path: string, agent?: Agent): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ port, path, agent: agent ?? false }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });

const routerIsThere = (server: Server): boolean =>
  server.rawListeners('request').some((listener) => 'listener' in listener);

describe('a path that is being left', () => {
  it('is answered until the server has closed, and then released', async () => {
    const { server, port } = await listen();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    leave(server, [claim(server, '/a', 'a'), claim(server, '/b', 'b')]);
    expect(await ask(port, '/a', agent)).toBe('a');
    expect(await ask(port, '/b', agent)).toBe('b');
    expect(routerIsThere(server)).toBe(true);
    agent.destroy();
    const listeners = server.listenerCount('close');
    await new Promise((resolve) => server.close(resolve));
    await until('the release', () => !routerIsThere(server));
    expect(server.listenerCount('close')).toBe(listeners - 1);
  });

  it('of a server that closes already is answered on the connections that are left', async () => {
    const { server, port } = await listen();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const paths = [claim(server, '/a', 'a')];
    let hold: (() => void) | undefined;
    const isHeld = new Promise<void>((resolve) => {
      paths.push(
        ...[((_req, res) => ((hold = () => res.end('held')), resolve())) as MethodHandler].map((handler) => ({
          handler,
          release: RequestRouter.of(server).claimMethods('/held', ['GET'], handler),
        })),
      );
    });
    const held = ask(port, '/held', agent);
    await isHeld;
    server.close();
    leave(server, paths);
    const next = ask(port, '/a', agent).catch(() => 'none');
    hold?.();
    expect(await held).toBe('held');
    await next;
    agent.destroy();
    await until('the release', () => !routerIsThere(server));
  });

  it('is released soon where the server does not listen, and has no connection', async () => {
    const server = createServer(() => undefined);
    leave(server, [claim(server, '/a', 'a')]);
    await until('the release', () => !routerIsThere(server));
    expect(server.listenerCount('close')).toBe(0);
  });

  it('is taken over by who claims it, method by method, and the listener goes with the last one', async () => {
    const { server, port } = await listen();
    const before = server.listenerCount('close');
    const [a, b] = [claim(server, '/a', 'old a', ['GET', 'HEAD']), claim(server, '/b', 'old b')];
    leave(server, [a, b]);
    const { release } = claim(server, '/a', 'new a');
    expect([await ask(port, '/a'), await ask(port, '/b')]).toEqual(['new a', 'old b']);
    // The old one is gone for good, whatever it does.
    a.release();
    expect(await ask(port, '/a')).toBe('new a');
    expect(() => claim(server, '/a', 'third')).toThrow('already taken');
    expect(server.listenerCount('close')).toBe(before + 1);
    claim(server, '/b', 'new b');
    expect(server.listenerCount('close')).toBe(before);
    release();
    expect(await ask(port, '/a')).toBe('http');
  });

  it('stays with who came first where others share it', async () => {
    const { server, port } = await listen();
    const post = claim(server, '/a', 'post', ['POST']);
    leave(server, [post]);
    claim(server, '/a', 'get');
    expect(await ask(port, '/a')).toBe('get');
    claim(server, '/a', 'next post', ['POST']);
    expect(await ask(port, '/a')).toBe('get');
  });
});
