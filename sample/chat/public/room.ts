import type {
  ChannelEvent,
  ChannelHandle,
  ChannelRecovered,
  HistoryEvent,
  SubscribeResult,
} from 'nestjs-realtime/client';
import { Composer } from './composer.js';
import { byId, displayName, plural, wordsOf } from './dom.js';
import { logActivity } from './activity.js';
import { MessageList } from './messages.js';
import { showPeople, type Moderation } from './people.js';
import { RealtimeError } from './realtime.js';
import type { Session } from './session.js';
import { Typing } from './typing.js';

/** What the server's `@Snapshot()` returns. */
interface RoomState {
  readonly title: string;
  readonly owner?: string;
  readonly muted: readonly string[];
}

/** What this page reads of an event, from the log or live. */
type RoomEvent = Pick<ChannelEvent | HistoryEvent, 'id' | 'seq' | 'ts' | 'event' | 'payload' | 'user'>;

const PAGE = 50;
const heading = byId('room-title', HTMLHeadingElement);
const ownerLine = byId('room-owner', HTMLParagraphElement);
const earlier = byId('earlier', HTMLButtonElement);

/** One open room: the events of its channel, and the actions of the user. */
export class RoomView {
  private readonly room: ChannelHandle;
  private readonly self: string;
  private readonly offs: (() => void)[] = [];
  /** Gives back the share of the room’s subscription. */
  private readonly shown = new AbortController();
  private readonly muted = new Set<string>();
  private readonly messages: MessageList;
  private readonly composer: Composer;
  private readonly typing: Typing;
  private readonly moderation: Moderation;
  private title: string;
  /** Events since the last resume began; `undefined` while nothing is replayed. */
  private missed: number | undefined;

  constructor(
    { client, user }: Session,
    id: string,
    private readonly onEnd: (reason: string) => void,
  ) {
    this.room = client.channel(`rooms.${id}`);
    this.self = user.id;
    this.title = id;
    this.typing = new Typing(this.room, this.self);
    this.moderation = {
      self: this.self,
      owner: undefined,
      muted: this.muted,
      kick: (member) => this.ask('kick', { user: member }),
      mute: (member, muted) => this.ask('mute', { user: member, muted }),
    };
    this.messages = new MessageList(
      this.self,
      (author) => author === this.self || this.moderation.owner === this.self,
      (seq) => this.delete(seq),
    );
    this.composer = new Composer(
      (text) => void this.send(text),
      () => this.typing.typed(),
    );
    heading.textContent = '';
    ownerLine.textContent = '';
    earlier.hidden = true;
    earlier.onclick = () => void this.loadEarlier();
    this.listen();
    this.paintPeople();
  }

  async open(): Promise<void> {
    // The listener of `unsubscribed` shows refusals.
    const answer = await this.room.subscribe({ signal: this.shown.signal }).catch(() => undefined);
    if (answer !== undefined) this.composer.focus();
  }

  close(): void {
    for (const off of this.offs) off();
    this.typing.close();
    this.composer.close();
    this.messages.close();
    this.shown.abort();
    showPeople([], this.moderation);
  }

  private listen(): void {
    const { room } = this;
    this.offs.push(
      room.on('subscribed', (answer) => this.subscribed(answer)),
      room.on('snapshot', (state) => this.show(state as RoomState)),
      room.on('*', (_, event) => {
        if (this.missed !== undefined) this.missed++;
        this.apply(event);
        this.keepState(event);
      }),
      room.on('resumed', () => this.resumed()),
      room.on('gap', ({ from, to, reason, recoverable }) => {
        logActivity(`${this.name}: events ${from} to ${to} did not come (${reason})`, 'bad');
        if (recoverable) void this.fill(from, to);
      }),
      room.on('recovered', (recovered) => this.recovered(recovered)),
      room.on('unsubscribed', ({ message, willRetry }) => {
        logActivity(`${this.name}: ${message}`, 'bad');
        if (!willRetry) this.onEnd(`${this.name}: ${message}`);
      }),
      room.onSignal('typing', (_, { user }) => this.typing.heard(user)),
      room.presence.on('change', () => this.paintPeople()),
    );
  }

  /** Called after every subscribe: the first one, and each after a lost connection. */
  private subscribed({ recovery }: SubscribeResult): void {
    this.missed = recovery === 'complete' || recovery === 'truncated' ? 0 : undefined;
    if (recovery === 'new') void this.reload();
  }

  /** Back to a known state: after a lost connection, or a log that changed. The snapshot, if there is one, was shown already. */
  private recovered({ outcome, gap }: ChannelRecovered): void {
    if (outcome === 'complete' || gap?.recoverable === true) return;
    const what = outcome === 'lost' ? 'the place in the log is lost' : 'some events are gone';
    logActivity(`${this.name}: ${what}, reloading it`, 'bad');
    void this.reload();
  }

  private resumed(): void {
    const missed = this.missed ?? 0;
    this.missed = undefined;
    const what = missed === 0 ? 'nothing was missed' : plural(missed, 'missed event');
    logActivity(`${this.name} resumed: ${what}`, 'good');
  }

  /** Shows the state of the room, at the first subscribe and after a lost position. */
  private show({ title, owner, muted }: RoomState): void {
    this.title = title;
    this.moderation.owner = owner;
    this.muted.clear();
    for (const user of muted) this.muted.add(user);
    heading.textContent = title;
    document.title = `${title} · Chat`;
    ownerLine.textContent =
      owner === undefined
        ? 'Belongs to everybody'
        : owner === this.self
          ? 'Your room'
          : `${displayName(owner)}’s room`;
    this.messages.repaint();
    this.paintPeople();
    logActivity(`${this.name}: snapshot received`, 'good');
  }

  /** Shows one event: live, replayed, or from the history. */
  private apply({ id, seq, ts, event, payload, user }: RoomEvent): void {
    switch (event) {
      case 'message.created': {
        const { text, author } = payload as { text: string; author: string };
        if (user === this.self) this.messages.settle(id);
        this.messages.add({ seq, ts, author, text });
        break;
      }
      case 'message.deleted':
        this.messages.delete((payload as { seq: number }).seq);
        break;
      case 'member.kicked': {
        const { user: member, by } = payload as { user: string; by: string };
        this.messages.note(seq, ts, `${displayName(by)} removed ${displayName(member)}`);
        break;
      }
      case 'member.muted': {
        const { user: member, muted, by } = payload as { user: string; muted: boolean; by: string };
        const verb = muted ? 'muted' : 'unmuted';
        this.messages.note(seq, ts, `${displayName(by)} ${verb} ${displayName(member)}`);
        break;
      }
    }
  }

  /** Applies an event to the state beside the list. The history is older than the snapshot, so it changes no state. */
  private keepState({ event, payload, user }: RoomEvent): void {
    if (event === 'message.created') this.typing.stopped(user);
    if (event === 'member.kicked') this.typing.stopped((payload as { user: string }).user);
    if (event !== 'member.muted') return;
    const { user: member, muted } = payload as { user: string; muted: boolean };
    if (muted) this.muted.add(member);
    else this.muted.delete(member);
    this.paintPeople();
  }

  private paintPeople(): void {
    showPeople(this.room.presence.members, this.moderation);
  }

  private async send(text: string): Promise<void> {
    const id = newId();
    this.typing.sent();
    this.messages.addPending(id, text);
    try {
      // Resolves when the message is in the log. While the connection is cut, it waits, and is sent once, in order.
      await this.room.publish('message.created', { text }, { id });
    } catch (error) {
      if (error instanceof RealtimeError && error.code === 'outcome_unknown') {
        this.messages.mark(id, 'perhaps sent: no answer came');
      } else if (this.composer.isEmpty) {
        this.messages.settle(id);
        this.composer.write(text);
        this.composer.complain(wordsOf(error));
      } else this.messages.mark(id, `not sent: ${wordsOf(error)}`);
    }
  }

  private delete(seq: number): void {
    const { epoch } = this.room.position ?? {};
    this.room
      .publish('message.deleted', { epoch, seq })
      .catch((error: unknown) => this.composer.complain(wordsOf(error)));
  }

  private ask(request: 'kick' | 'mute', payload: object): void {
    this.room.request(request, payload).catch((error: unknown) => this.composer.complain(wordsOf(error)));
  }

  private async reload(): Promise<void> {
    this.messages.clear();
    await this.load({ limit: PAGE, reverse: true });
    this.messages.showEnd();
  }

  private async loadEarlier(): Promise<void> {
    const { oldest = 1 } = this.messages;
    await this.load({ until: oldest - 1, limit: PAGE, reverse: true });
  }

  private async load(query: { until?: number; limit: number; reverse: true }): Promise<void> {
    try {
      const { events, more } = await this.room.history(query);
      for (const event of events) this.apply(event);
      earlier.hidden = !more;
    } catch (error) {
      logActivity(`${this.name}: the history could not be read: ${wordsOf(error)}`, 'bad');
    }
    this.messages.paintSilence();
  }

  private async fill(from: number, until: number): Promise<void> {
    const { events } = await this.room.history({ from, until });
    for (const event of events) this.apply(event);
  }

  private get name(): string {
    return `“${this.title}”`;
  }
}

/** The id of a message, chosen before the server has it, so that the page recognizes it when it comes from the log. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}
