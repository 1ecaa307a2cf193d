import { range, type ContractContext } from './context.js';
import type { ContractNode } from './harness.js';

const MIB = 1024 * 1024;
/** What every broker carries in one message. */
const LARGEST = 8 * MIB;
/** More than a broker may keep waiting, in messages of a MiB. */
const FLOOD = 40;

const send = async (from: ContractNode, to: string, topic: string, bytes: Uint8Array): Promise<void> => {
  const { bus } = from.broker;
  if (bus.send === undefined) throw new Error('The factory declares `messages`, the bus lacks `send`');
  await bus.send(to, topic, bytes);
};

const nodesOf = async ({ broker }: ContractNode): Promise<readonly string[]> => {
  if (broker.bus.nodes === undefined)
    throw new Error('The factory declares `messages`, the bus lacks `nodes`');
  return [...(await broker.bus.nodes())].sort();
};

/** Code of the error with which a call failed, or `undefined`. */
const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  );

/** Messages from one node to another, and which nodes there are. */
export function messagesContract(context: ContractContext): void {
  const { it, expect } = context;
  const text = (number: number | string): Uint8Array => new TextEncoder().encode(String(number));
  const textsOf = (node: ContractNode, topic: string): readonly string[] =>
    node.seen.messagesOf(topic).map(({ bytes }) => new TextDecoder().decode(bytes));

  it('hands bytes to the listener of the node that they are sent to, and to no other, with sender and topic (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const third = await context.node();
    await send(left, right.id, 'a topic: ü', text('hello'));
    await context.eventually(() => expect(right.seen.messages).toHaveLength(1));
    const [message] = right.seen.messages;
    expect(message).toMatchObject({ from: left.id, topic: 'a topic: ü' });
    expect([...(message?.bytes ?? [])]).toEqual([...text('hello')]);
    await context.harness.quiet();
    expect([...left.seen.messages, ...third.seen.messages]).toEqual([]);
  });

  it('hands a node what it sends to itself (P21)', async () => {
    const node = await context.node();
    await send(node, node.id, 'self', text('hello'));
    await context.eventually(() => expect(textsOf(node, 'self')).toEqual(['hello']));
    expect(node.seen.messages[0]?.from).toBe(node.id);
  });

  it('carries bytes of every value, and none at all, unchanged (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const all = Uint8Array.from(range(0, 255));
    // No text in UTF-8, a byte order mark, line ends, and what looks like a head of its own.
    const odd = [[], [0], [255], [0xc3, 0x28], [0xef, 0xbb, 0xbf], [13, 10, 0, 10], [0, 0, 0, 1]];
    const cases = [all, ...odd.map((bytes) => Uint8Array.from(bytes))];
    for (const bytes of cases) await send(left, right.id, 'bytes', bytes);
    await context.eventually(() => expect(right.seen.messages).toHaveLength(cases.length));
    expect(right.seen.messages.map(({ bytes }) => [...bytes])).toEqual(cases.map((bytes) => [...bytes]));
  });

  it('keeps the bytes of a message apart from the buffer of the sender once it resolved (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const bytes = text('first');
    await send(left, right.id, 'own', bytes);
    bytes.set(text('XXXXX'));
    await send(left, right.id, 'own', bytes);
    await context.eventually(() => expect(textsOf(right, 'own')).toEqual(['first', 'XXXXX']));
  });

  it('hands over the messages of one node to another in the order of the calls (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const numbers = range(1, 200);
    await Promise.all(numbers.map((number) => send(left, right.id, 'order', text(number))));
    await context.eventually(() => expect(textsOf(right, 'order')).toEqual(numbers.map(String)));
  });

  it('carries messages of two nodes to each other at once, each in its order (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const numbers = range(1, 50);
    await Promise.all(
      numbers.flatMap((number) => [
        send(left, right.id, 'both', text(`l${number}`)),
        send(right, left.id, 'both', text(`r${number}`)),
        send(right, right.id, 'own', text(number)),
      ]),
    );
    await context.eventually(() => {
      expect(textsOf(right, 'both')).toEqual(numbers.map((number) => `l${number}`));
      expect(textsOf(left, 'both')).toEqual(numbers.map((number) => `r${number}`));
      expect(textsOf(right, 'own')).toEqual(numbers.map(String));
    });
  });

  it('hands over what a listener answers from inside its call (P21)', async () => {
    const [left, right] = await context.twoNodes();
    right.seen.messageHook = (from, topic, bytes) => void send(right, from, `${topic} back`, bytes);
    await send(left, right.id, 'ask', text('echo'));
    await context.eventually(() => expect(textsOf(left, 'ask back')).toEqual(['echo']));
  });

  it('loses what is sent to a node that is not there, without an error, and carries on (P21)', async () => {
    const [left, right] = await context.twoNodes();
    await send(left, 'nobody of this name', 'lost', text('a'));
    await right.broker.close();
    await send(left, right.id, 'lost', text('b'));
    await send(left, left.id, 'own', text('c'));
    await context.eventually(() => expect(textsOf(left, 'own')).toEqual(['c']));
    await context.harness.quiet();
    expect(right.seen.messages).toEqual([]);
  });

  it('carries a message of 8 MiB, refuses one of a byte more with `message_too_large`, and carries on (P21)', async () => {
    const [left, right] = await context.twoNodes();
    expect(await refusalOf(send(left, right.id, 'large', new Uint8Array(LARGEST + 1)))).toBe(
      'message_too_large',
    );
    await send(left, right.id, 'large', new Uint8Array(LARGEST).fill(7));
    await send(left, right.id, 'small', text('after'));
    await context.eventually(() => expect(textsOf(right, 'small')).toEqual(['after']));
    const sizes = right.seen.messagesOf('large').map(({ bytes }) => bytes.byteLength);
    expect(sizes).toEqual([LARGEST]);
    expect(right.seen.messagesOf('large')[0]?.bytes.every((byte) => byte === 7)).toBe(true);
  });

  it('either carries each of many large messages or refuses it with `unavailable`, and carries on (P21)', async () => {
    const [left, right] = await context.twoNodes();
    const outcomes = await Promise.all(
      range(1, FLOOD).map((number) => {
        const bytes = new Uint8Array(MIB);
        bytes[0] = number;
        return refusalOf(send(left, right.id, 'flood', bytes));
      }),
    );
    for (const code of outcomes) expect([undefined, 'unavailable', 'rate_limited']).toContain(code);
    await send(left, right.id, 'small', text('after'));
    await context.eventually(() => expect(textsOf(right, 'small')).toEqual(['after']));
    const taken = range(1, FLOOD).filter((number) => outcomes[number - 1] === undefined);
    expect(right.seen.messagesOf('flood').map(({ bytes }) => bytes[0])).toEqual(taken);
    expect(taken.length).toBeGreaterThan(0);
  });

  it('names the nodes that live, the one that asks included, and no longer one that closed (P21)', async () => {
    const alone = await context.node();
    expect(await nodesOf(alone)).toEqual([alone.id]);
    const [left, right] = await context.twoNodes();
    for (const node of [alone, left, right])
      expect(await nodesOf(node)).toEqual([alone.id, left.id, right.id].sort());
    await left.broker.close();
    for (const node of [alone, right]) expect(await nodesOf(node)).toEqual([alone.id, right.id].sort());
  });
}
