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
import { lengthOf } from './clock.js';
import { MessageList } from './messages.js';
import { showPeople, type Moderation } from './people.js';
import { RealtimeError } from './realtime.js';
import { MutedUsers, restraintOf, slowWords, type Muted } from './restraints.js';
import type { Session } from './session.js';
import { Typing } from './typing.js';

/** What the server's `@Snapshot()` returns. */
interface RoomState {
  readonly title: string;
  readonly owner?: string;
  readonly muted: readonly Muted[];
  readonly slowMs: number;
}

/** What this page reads of an event, from the log or live. */
type RoomEvent = Pick<ChannelEvent | HistoryEvent, 'id' | 'seq' | 'ts' | 'event' | 'payload' | 'user'>;

const PAGE = 50;
const heading = byId('room-title', HTMLHeadingElement);
const ownerLine = byId('room-owner', HTMLParagraphElement);
const earlier = byId('earlier', HTMLButtonElement);
const restraint = byId('restraint', HTMLParagraphElement);
const slow = byId('slow', HTMLLabelElement);
const slowEvery = byId('slow-every', HTMLSelectElement);

/** One open room: the events of its channel, and the actions of the user. */
export class RoomView {
  private readonly room: ChannelHandle;
  private readonly self: string;
  private readonly offs: (() => void)[] = [];
  /** Gives back the share of the room’s subscription. */
  private readonly shown = new AbortController();
  private readonly muted = new MutedUsers(() => this.paintPeople());
  private readonly messages: MessageList;
  private readonly composer: Composer;
  private readonly typing: Typing;
  private readonly moderation: Moderation;
  private title: string;
  private slowMs = 0;
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
      isAllowed: user.role === 'moderator',
      muted: this.muted,
      kick: (member) => this.ask('kick', { user: member }),
      ban: (member) => this.ask('ban', { user: member }),
      mute: (member, muted) => this.ask('mute', { user: member, muted }),
    };
    this.messages = new MessageList(
      this.self,
      (author) => author === this.self || this.moderation.isAllowed,
      (seq) => this.ask('delete', { epoch: this.room.position?.epoch, seq }),
    );
    this.composer = new Composer(
      (text) => void this.send(text),
      () => this.typing.typed(),
    );
    heading.textContent = '';
    ownerLine.textContent = '';
    earlier.hidden = true;
    earlier.onclick = () => void this.loadEarlier();
    slowEvery.onchange = () => this.ask('slow', { everyMs: Number(slowEvery.value) });
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
    this.muted.close();
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
      room.on('unsubscribed', ({ code, message, willRetry, delayMs }) => {
        const wait = delayMs === undefined ? '' : ` Try again in ${lengthOf(delayMs)}`;
        const text = code === 'banned' ? `${this.name}: you were removed from this room.${wait}` : message;
        logActivity(text, 'bad');
        // The client would wait for the end of a short ban, and enter again. Here it is left to the visitor.
        if (!willRetry || code === 'banned') this.onEnd(text);
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
  private show({ title, owner, muted, slowMs }: RoomState): void {
    this.title = title;
    this.moderation.owner = owner;
    this.moderation.isAllowed ||= owner === this.self;
    this.slowMs = slowMs;
    heading.textContent = title;
    document.title = `${title} · Chat`;
    ownerLine.textContent =
      owner === undefined
        ? 'Belongs to everybody'
        : owner === this.self
          ? 'Your room'
          : `${displayName(owner)}’s room`;
    slow.hidden = !this.moderation.isAllowed;
    this.messages.repaint();
    this.muted.replace(muted);
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
      case '$erased': {
        // What the log has in the place of an erased event names this place; a notice names others, which are shown already.
        const { seqs } = payload as { seqs: readonly number[] };
        if (seqs.includes(seq)) this.messages.noteErased(seq, ts);
        else for (const erased of seqs) this.messages.erase(erased);
        break;
      }
      default: {
        const note = noteOf(event, payload);
        if (note !== undefined) this.messages.note(seq, ts, note);
      }
    }
  }

  /** Applies an event to the state beside the list. The history is older than the snapshot, so it changes no state. */
  private keepState({ event, payload, user, ts }: RoomEvent): void {
    const { user: member = '', forMs, everyMs = 0 } = payload as Partial<Muted & { everyMs: number }>;
    if (event === 'message.created') this.typing.stopped(user);
    if (event === 'member.kicked' || event === 'member.banned') this.typing.stopped(member);
    if (event === 'member.unmuted') this.muted.delete(member);
    if (event === 'member.muted') {
      const leftMs = (forMs ?? 0) - Math.max(0, Date.now() - ts);
      if (leftMs > 0) this.muted.add({ user: member, forMs: leftMs });
    }
    if (event === 'room.slowed') {
      this.slowMs = everyMs;
      this.paintRestraint();
    }
  }

  private paintPeople(): void {
    showPeople(this.room.presence.members, this.moderation);
    this.paintRestraint();
  }

  /** What holds this user up, above the field. */
  private paintRestraint(): void {
    const muted = this.muted.wordsOf(this.self);
    const text = muted === undefined ? '' : `You are muted ${muted}. You can read, but not write.`;
    restraint.textContent = text !== '' ? text : this.slowMs > 0 ? slowWords(this.slowMs) : '';
    restraint.hidden = restraint.textContent === '';
    restraint.dataset.muted = String(muted !== undefined);
    slowEvery.value = String(this.slowMs);
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
        this.composer.complain(this.refusalOf(error));
      } else this.messages.mark(id, `not sent: ${this.refusalOf(error)}`);
    }
  }

  /** Why a message was refused. A mute by a moderator of the whole chat is known from nothing else. */
  private refusalOf(error: unknown): string {
    const found = restraintOf(error);
    if (found === undefined) return wordsOf(error);
    const { isSlow, forMs } = found;
    if (isSlow) return `Slow mode: write again in ${lengthOf(forMs ?? 1_000)}`;
    this.muted.add({ user: this.self, ...(forMs === undefined ? {} : { forMs }) });
    return `You are muted ${this.muted.wordsOf(this.self) ?? ''}`;
  }

  private ask(request: 'kick' | 'ban' | 'mute' | 'slow' | 'delete', payload: object): void {
    this.room.request(request, payload).catch((error: unknown) => {
      this.composer.complain(wordsOf(error));
      this.paintRestraint();
    });
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

/** The line for an event of moderation. */
function noteOf(event: string, payload: unknown): string | undefined {
  const { user = '', by = '', everyMs = 0 } = payload as { user?: string; by?: string; everyMs?: number };
  const [who, whom] = [displayName(by), displayName(user)];
  switch (event) {
    case 'member.kicked':
      return `${who} removed ${whom}`;
    case 'member.banned':
      return `${who} banned ${whom} for a day`;
    case 'member.muted':
      return `${who} muted ${whom}`;
    case 'member.unmuted':
      return `${who} unmuted ${whom}`;
    case 'room.slowed':
      return everyMs === 0
        ? `${who} ended slow mode`
        : `${who} set slow mode: one message in ${lengthOf(everyMs)}`;
    default:
      return undefined;
  }
}

/** The id of a message, chosen before the server has it, so that the page recognizes it when it comes from the log. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}
