import { Redis } from 'ioredis';
import type { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import { CONTROL_CHANNEL, idField, type RedisKeys } from '../../../lib/brokers/redis/keys.js';
import { decodeMessage, encodeBody, encodeRecord } from '../../../lib/brokers/redis/wire.js';
import { APPEND } from '../../../lib/brokers/redis/scripts/append.js';
import { CONTROL } from '../../../lib/brokers/redis/scripts/control.js';
import { HEARTBEAT } from '../../../lib/brokers/redis/scripts/heartbeat.js';
import { until } from '../until.js';

/**
 * How events are told to other nodes: as they are today with fields added, or as a kind of message that today's version has
 * never heard of.
 */
export type Telling = 'added' | 'unknown';

/** What a script publishes begins with its form and kind, then epoch, `seq` and time, then a line break. */
const TOLD = "'1e' .. log.e .. ' ' .. int(first) .. ' ' .. int(now) .. '\\n'";
const TOLD_OF_CONTROL = "'1e' .. log.e .. ' ' .. int(seq) .. ' ' .. int(now) .. '\\n'";
const RETAIN_MS = 3_600_000;

/**
 * A node of a later version of the library: layout 1 with something added. It writes the same keys by the scripts of today,
 * which it changed, and adds fields to whatever it stores and says.
 */
export class NewerNode {
  /** Events that nodes of today told, by channel. */
  readonly told = new Map<string, ChannelEvent[]>();
  private readonly listener: Redis;
  private calls = 0;

  private constructor(
    private readonly client: Redis,
    private readonly keys: RedisKeys,
    readonly id: string,
  ) {
    this.listener = client.duplicate();
    this.listener.on('smessage', (topic: string, text: string) => this.hear(topic, text));
  }

  static async start(url: string, keys: RedisKeys, id = 'newer'): Promise<NewerNode> {
    const node = new NewerNode(new Redis(url), keys, id);
    await node.beat();
    return node;
  }

  /** Says that it lives, with a layout that something was added to. */
  async beat(): Promise<readonly (string | number)[]> {
    const { keys } = this;
    return (await this.client.eval(
      HEARTBEAT.text.replace(
        "redis.pcall('SETNX', KEYS[1], ARGV[1])",
        "redis.pcall('SET', KEYS[1], ARGV[1] .. '.7')",
      ),
      5,
      ...[keys.layout, keys.nodes, keys.meta, keys.head(CONTROL_CHANNEL), keys.stream(CONTROL_CHANNEL)],
      ...[1, this.id, 60_000, keys.partitions, this.token(), 90_000],
    )) as (string | number)[];
  }

  async listen(channel: string): Promise<void> {
    await this.listener.ssubscribe(this.keys.topic(channel));
  }

  /** Appends events with these ids. @returns `seq` of the first, or what the script answered of each. */
  async append(
    channel: string,
    producer: string,
    ids: readonly string[],
    telling: Telling,
  ): Promise<unknown> {
    const { head, stream, topic, ids: memory, origin } = this.keys.of(channel);
    const token = this.token();
    const fields = ids.map((id) => idField(producer, id));
    const [, first, ...each] = (
      (await this.client.eval(
        changed(APPEND.text, TOLD, telling).replaceAll("'b', text,", "'b', text, 'mood', 'fine',"),
        6,
        ...[head, stream, topic, ...memory, origin],
        ...[token, 0, 1, 1, 1, 1_000, RETAIN_MS, 60_000, RETAIN_MS, 1_000_000],
        ...[1, ids.length, ids.length, '', ids.length, ids.length === 1 ? '' : ids.map(() => 1).join()],
        ...[encodeRecord(ids.map(newerEvent)), ...fields],
        ...ids.map((id, index) => `${token}.1-${index} ${id}`),
      )) as [[string, number, ...(string | number)[]]]
    )[0];
    return each.length === 0 ? first : each;
  }

  /** Stores and tells a control record, in whatever form. @returns the nodes that are to confirm. */
  async control(payload: unknown, telling: Telling): Promise<readonly string[]> {
    const { keys } = this;
    const body = encodeBody({ id: this.token(), event: 'newer', payload });
    const [, nodes] = (await this.client.eval(
      changed(CONTROL.text, TOLD_OF_CONTROL, telling),
      4,
      ...[keys.head(CONTROL_CHANNEL), keys.stream(CONTROL_CHANNEL), keys.topic(CONTROL_CHANNEL), keys.nodes],
      ...[this.token(), 90_000, encodeRecord([body]), 10_000, RETAIN_MS, '', ''],
    )) as [string, string[]];
    return nodes;
  }

  /** Publishes something that belongs to no log. */
  async say(channel: string, text: string): Promise<void> {
    await this.client.spublish(this.keys.topic(channel), text);
  }

  /** What a node said of a record, once it has: '1' for applied. */
  async answerOf(record: string, node: string): Promise<string> {
    let answer: string | null = null;
    await until(`an answer of ${node}`, async () => {
      answer = await this.client.hget(this.keys.answers(record), node);
      return answer !== null;
    });
    return String(answer);
  }

  close(): void {
    this.client.disconnect();
    this.listener.disconnect();
  }

  private token(): string {
    return `${this.id}${++this.calls}`;
  }

  private hear(topic: string, text: string): void {
    const channel = topic.slice(topic.indexOf(':c:') + 3);
    const message = decodeMessage(text, channel, 0);
    if (message?.kind !== 'events') return;
    const told = this.told.get(channel) ?? [];
    this.told.set(channel, told);
    told.push(...message.events);
  }
}

/** An event as it is stored today, with something added. */
function newerEvent(id: string): string {
  return encodeBody({ id, event: 'said', payload: id }).replace('{', '{"v":9,"tags":["new"],');
}

/** @throws Error when the script does not tell as it did: then this node would be one of today. */
function changed(text: string, told: string, telling: Telling): string {
  if (!text.includes(told)) throw new Error('The script tells otherwise than this node believes');
  const newer =
    telling === 'added'
      ? told.replace('int(now) ..', "int(now) .. ' more of it' ..")
      : told.replace('1e', '2e');
  return text.replace(told, newer);
}
