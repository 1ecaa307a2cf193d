import { afterEach, describe, expect, it } from '@jest/globals';
import { UnfinishedMessages } from '../../../../lib/core/session/unfinished-messages.js';
import { FakeHost, type FakeSession } from '../support/fake-host.js';
import { clientFrame, RawClient } from '../support/raw-client.js';
import { pair } from '../support/pair.js';
import { closeServers, serve } from '../support/test-server.js';

const KB = 1_024;

const ended = (session: FakeSession) => session.until(({ closes }) => closes.length > 0);

let names = 0;

/** Each of a user of its own. */
function senders(messages: UnfinishedMessages, ...sizes: number[]) {
  return sendersOf(messages, ...sizes.map((bytes) => ({ bytes })));
}

interface Sent {
  readonly bytes: number;
  readonly network?: string;
  readonly client?: string;
}

function sendersOf(messages: UnfinishedMessages, ...sent: Sent[]) {
  const shed: number[] = [];
  const all = sent.map(({ bytes, network = 'one', client = `user ${++names}` }, index) => {
    const sender = {
      network,
      client,
      shed: () => {
        shed.push(index);
        // As a connection does when it closes.
        messages.note(sender, 0);
      },
    };
    messages.note(sender, bytes);
    return sender;
  });
  return { all, shed };
}

describe('messages that have not ended', () => {
  it('may fill the bound exactly', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { shed } = senders(messages, 60 * KB, 40 * KB);
    expect(shed).toEqual([]);
    expect(messages.bytes).toBe(100 * KB);
  });

  it('above the bound the largest is shed', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { shed } = senders(messages, 20 * KB, 50 * KB, 20 * KB, 20 * KB);
    expect(shed).toEqual([1]);
    expect(messages.bytes).toBe(60 * KB);
  });

  it('of equals the oldest is shed', () => {
    const messages = new UnfinishedMessages(100 * KB);
    expect(senders(messages, 40 * KB, 40 * KB, 40 * KB).shed).toEqual([0]);
  });

  it('as many are shed as it takes', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 50 * KB, 45 * KB, 5 * KB);
    messages.note(all[2] as never, 90 * KB);
    expect(shed).toEqual([2]);
    messages.note(all[0] as never, 60 * KB);
    expect(shed).toEqual([2, 0]);
    expect(messages.bytes).toBe(45 * KB);
  });

  it('a single one above the bound is shed', () => {
    const messages = new UnfinishedMessages(10 * KB);
    expect(senders(messages, 11 * KB).shed).toEqual([0]);
    expect(messages.bytes).toBe(0);
  });

  it('what ends is not counted any more, a second time neither', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 90 * KB);
    for (let round = 0; round < 3; round++) {
      messages.note(all[0] as never, 0);
      expect(messages.bytes).toBe(0);
      messages.note(all[0] as never, 90 * KB);
    }
    expect(shed).toEqual([]);
    expect(messages.bytes).toBe(90 * KB);
  });

  it('a slow upload survives an attack from another address, however small the pieces are', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const attackers = Array.from({ length: 8 }, () => ({ bytes: 10 * KB, network: 'evil' }));
    const { all, shed } = sendersOf(messages, { bytes: 20 * KB, network: 'honest' }, ...attackers);
    expect(shed).toEqual([]);
    for (let bytes = 21; bytes <= 50; bytes++) messages.note(all[0] as never, bytes * KB);
    expect(shed).toEqual([1, 2, 3]);
    // The attackers come back.
    sendersOf(messages, { bytes: 10 * KB, network: 'evil' });
    expect(shed).toEqual([1, 2, 3, 4]);
  });

  it('at one address the client is shed that holds most in all its connections together, and of it the largest', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const eve = (size: number) => ({ bytes: size * KB, client: 'user eve' });
    const { shed } = sendersOf(messages, eve(20), { bytes: 40 * KB, client: 'user ada' }, eve(25), eve(20));
    expect(shed).toEqual([2]);
  });

  it('of equals the one is shed that has sent nothing for longest', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 30 * KB, 40 * KB);
    messages.note(all[0] as never, 40 * KB);
    senders(messages, 40 * KB);
    expect(shed).toEqual([1]);
  });

  it('a message counts from 4 KiB', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all } = senders(messages, 4 * KB - 1, 4 * KB);
    expect(messages.bytes).toBe(4 * KB);
    messages.note(all[1] as never, 4 * KB - 1);
    expect(messages.bytes).toBe(0);
  });

  it('one that began again is the youngest', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 40 * KB, 40 * KB);
    messages.note(all[0] as never, 0);
    messages.note(all[0] as never, 40 * KB);
    senders(messages, 40 * KB);
    expect(shed).toEqual([1]);
  });
});

describe('clients that do not end their messages', () => {
  afterEach(closeServers);

  async function serving(maxUnfinishedBytes: number) {
    const host = new FakeHost();
    host.maxUnfinishedBytes = maxUnfinishedBytes;
    const { port, errors } = await serve({}, host);
    return {
      host,
      errors,
      async open() {
        const client = await RawClient.open(port);
        return { client, session: await host.next() };
      },
    };
  }

  /** Sends a fragment, and a ping, whose answer shows that the fragment has been read. */
  async function begin(client: RawClient, bytes: number, opcode = 1): Promise<void> {
    client.send(opcode, Buffer.alloc(bytes, 'x'), { fin: false });
    client.send(9, Buffer.alloc(0));
    const { opcode: answer } = await client.frame();
    if (answer !== 10) throw new Error(`No pong, but ${answer}`);
  }

  it('the one that holds most is closed with 4006 at once, and reported to the host (G16)', async () => {
    const { host, open, errors } = await serving(100 * KB);
    const [small, large, last] = [await open(), await open(), await open()];
    await begin(small.client, 30 * KB);
    await begin(large.client, 60 * KB);
    await begin(last.client, 20 * KB);
    expect(await large.client.close()).toEqual({ code: 4006, reason: 'overloaded|0' });
    await ended(large.session);
    expect(host.shed).toEqual(['127.0.0.1']);
    expect(errors).toEqual([]);
    // The others end their messages.
    for (const { client, session } of [small, last]) {
      client.send(0, Buffer.from('.'));
      await session.until(({ frames }) => frames.length === 1);
    }
  });

  it('a single client above the bound is closed, before its message is there', async () => {
    const { host, open } = await serving(100 * KB);
    const { client, session } = await open();
    client.send(1, Buffer.alloc(120 * KB, 'x'), { fin: false });
    expect(await client.close()).toMatchObject({ code: 4006 });
    await ended(session);
    expect(session.frames).toEqual([]);
    expect(host.shed).toHaveLength(1);
  });

  it('what ended, and what its client left behind, makes room again', async () => {
    const { host, open } = await serving(100 * KB);
    for (let round = 0; round < 3; round++) {
      const { client, session } = await open();
      await begin(client, 90 * KB);
      client.send(0, Buffer.from('.'));
      await session.until(({ frames }) => frames.length === 1);
      await begin(client, 90 * KB);
      client.socket.destroy();
      await ended(session);
    }
    expect(host.shed).toEqual([]);
  });

  it('no message is too small in number: many fragments count together', async () => {
    const { host, open } = await serving(100 * KB);
    const { client } = await open();
    await begin(client, 30 * KB);
    await begin(client, 30 * KB, 0);
    await begin(client, 30 * KB, 0);
    client.send(0, Buffer.alloc(30 * KB, 'x'), { fin: false });
    expect(await client.close()).toMatchObject({ code: 4006 });
    expect(host.shed).toHaveLength(1);
  });
});

describe('behind a close frame', () => {
  afterEach(closeServers);

  it.each([
    ['a second', 5_000, 1_000],
    ['no longer than closeTimeoutMs', 300, 300],
  ])('the socket of a client that floods is kept for %s', async (_, closeTimeoutMs, lingerMs) => {
    const host = new FakeHost();
    host.frames = { perSecond: 1, burst: 2, control: 1 };
    const { client, clock, serverSocket } = await pair({ host, closeTimeoutMs });
    client.socket.write(Buffer.concat(Array.from({ length: 10 }, () => clientFrame(1, Buffer.from('x')))));
    expect(await client.close()).toMatchObject({ code: 4807 });
    clock.advance(lingerMs - 1);
    expect(serverSocket.destroyed).toBe(false);
    clock.advance(1);
    expect(serverSocket.destroyed).toBe(true);
  });

  it('a client that is shed keeps nothing: its socket is destroyed at once, whether it reads or not', async () => {
    const host = new FakeHost();
    host.maxUnfinishedBytes = 10 * KB;
    const { client, session, serverSocket } = await pair({ host });
    client.socket.pause();
    client.send(1, Buffer.alloc(20 * KB, 'x'), { fin: false });
    await ended(session);
    expect(serverSocket.destroyed).toBe(true);
  });

  it('no more is read than what was under way', async () => {
    const { port, host } = await serve();
    const client = await RawClient.open(port);
    const session = await host.next();
    session.connection.close(4807, 'rate_abuse|0');
    await client.close();
    const frame = clientFrame(2, Buffer.alloc(60 * KB));
    // The kernel takes some megabytes; what the server does not read stays there.
    await new Promise<void>((resolve) => {
      let sent = 0;
      const write = (): void => {
        sent += frame.length;
        if (client.socket.write(frame) && sent < 64 * KB * KB) setImmediate(write);
        else resolve();
      };
      write();
    });
    const { socket } = session.connection as unknown as {
      readonly socket: { bytesRead: number; readonly isPaused: () => boolean };
    };
    await client.until(() => client.ended);
    expect(socket.isPaused()).toBe(true);
    expect(socket.bytesRead).toBeLessThan(512 * KB);
  });
});
