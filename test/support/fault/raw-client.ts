import { WebSocket } from 'ws';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import type { SubscribeResult } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';
import type { FaultClient, FaultClientOptions } from './client.js';
import type { HistoryGap } from './history-types.js';
import type { SeededEntropy } from '../engine/seeded-entropy.js';

const RETRY_MS = 100;

type AnyEnvelope = Omit<Envelope, 'payload'> & { readonly payload?: unknown; readonly ref?: string };

/**
 * The protocol with nothing around it: whatever the server sends is recorded as it came, so nothing is mended or dropped
 * on the way to the checker. It resumes from its own positions (P13).
 */
export class FaultRawClient implements FaultClient {
  disconnects = 0;
  readonly positions = new Map<string, Position>();
  readonly live = new Set<string>();
  private socket: WebSocket | undefined;
  private readonly asked = new Map<string, string>();
  private ids = 0;
  private stopped = false;

  constructor(
    readonly name: string,
    readonly channels: readonly string[],
    private readonly options: FaultClientOptions,
    private readonly random: SeededEntropy,
  ) {}

  start(): void {
    const socket = new WebSocket(this.options.pick(), ['realtime.v1.json']);
    this.socket = socket;
    socket.on('open', () => this.send({ type: 'hello', payload: { versions: [1], token: this.name } }));
    socket.on('message', (data: Buffer) => {
      for (const line of data.toString().split('\n'))
        if (line !== '') this.receive(JSON.parse(line) as AnyEnvelope);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.asked.clear();
      this.live.clear();
      if (this.stopped) return;
      this.disconnects++;
      this.later(() => this.start());
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.socket?.terminate();
  }

  private receive(envelope: AnyEnvelope): void {
    const { type, ref, channel = '', epoch = '', seq = 0 } = envelope;
    if (type === 'welcome') for (const one of this.channels) this.subscribe(one);
    else if (type === 'ping') this.send({ type: 'pong', ref: envelope.id });
    else if (type === 'event') this.event(channel, { epoch, seq, id: envelope.id ?? '' });
    else if (type === 'gap') this.gap(channel, epoch, envelope.payload as HistoryGap);
    else if (type === 'reset') this.answer(channel, envelope.payload as SubscribeResult, true);
    else if (type === 'unsubscribed') this.again(channel);
    else if (ref !== undefined && (type === 'reply' || type === 'error')) this.reply(ref, envelope);
  }

  private subscribe(channel: string): void {
    const position = this.positions.get(channel);
    const id = this.send({ type: 'subscribe', channel, payload: position === undefined ? {} : { position } });
    this.asked.set(id, channel);
  }

  private again(channel: string): void {
    this.live.delete(channel);
    const { socket } = this;
    this.later(() => {
      if (socket === this.socket && socket?.readyState === WebSocket.OPEN) this.subscribe(channel);
    });
  }

  private reply(ref: string, { type, payload }: AnyEnvelope): void {
    const channel = this.asked.get(ref);
    if (channel === undefined) return;
    this.asked.delete(ref);
    if (type === 'error') this.again(channel);
    else this.answer(channel, payload as SubscribeResult, false);
  }

  private answer(channel: string, answer: SubscribeResult, isReset: boolean): void {
    const { history } = this.options;
    if (isReset) history.reset(this.name, channel, answer);
    else history.answer(this.name, channel, answer);
    this.live.add(channel);
    const { recovery, position, from } = answer;
    const own = this.positions.get(channel)?.seq ?? position.seq;
    const seq =
      recovery === 'complete'
        ? own
        : recovery === 'truncated'
          ? (from ?? position.seq + 1) - 1
          : position.seq;
    this.positions.set(channel, { epoch: position.epoch, seq });
  }

  private event(channel: string, event: Position & { readonly id: string }): void {
    this.options.history.deliver(this.name, channel, event);
    this.positions.set(channel, { epoch: event.epoch, seq: event.seq });
    this.options.onEvent?.(this, channel, event.id);
  }

  private gap(channel: string, epoch: string, gap: HistoryGap): void {
    this.options.history.gap(this.name, channel, epoch, gap);
    if (gap.partial !== true) this.positions.set(channel, { epoch, seq: gap.to });
  }

  private later(work: () => void): void {
    setTimeout(() => {
      if (!this.stopped) work();
    }, this.random.int(RETRY_MS));
  }

  private send(envelope: Readonly<Record<string, unknown>>): string {
    const id = `r${++this.ids}`;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ id, ...envelope }));
    return id;
  }
}
