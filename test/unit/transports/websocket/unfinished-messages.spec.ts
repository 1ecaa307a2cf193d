import { afterEach, describe, expect, it } from '@jest/globals';
import { UnfinishedMessages } from '../../../../lib/core/session/unfinished-messages.js';
import { FakeHost, type FakeSession } from '../support/fake-host.js';
import { clientFrame, RawClient } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

const KB = 1_024;

function senders(messages: UnfinishedMessages, ...sizes: number[]) {
  const shed: number[] = [];
  const all = sizes.map((bytes, index) => {
    const sender = {
      ip: `address-${index}`,
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

  const ended = (session: FakeSession) => session.until(({ closes }) => closes.length > 0);

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
