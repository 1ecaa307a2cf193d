import { h } from './dom.js';
import { time } from './format.js';
import { openStream, type StreamMessage } from './stream.js';
import { linkTo, type ShownView, type View, type ViewContext } from './view.js';

/** Events that are shown; the oldest go. */
const MAX_SHOWN = 200;
/** Characters of a payload that are shown. */
const MAX_PAYLOAD = 4_000;

export const TAP: View = {
  id: 'tap',
  title: 'Tap',
  show: (context, parameters) => new Tap(context, parameters.get('channel') ?? ''),
};

class Tap implements ShownView {
  private readonly input = h('input', {
    id: 'tapped',
    name: 'channel',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  private readonly state = h('p', { role: 'status', class: 'quiet' });
  private readonly events = h('ol', { class: 'events', 'aria-label': 'Events, newest first' });
  private readonly pause = h('button', { type: 'button', onclick: () => this.toggle() }, 'Pause');
  readonly element = h(
    'div',
    { class: 'view' },
    h('h2', {}, 'Tap'),
    h('p', { class: 'quiet' }, 'Shows the events of a channel as they come. The audit says who looked.'),
    h(
      'form',
      { class: 'search', onsubmit: (event) => this.open(event) },
      h('label', { for: 'tapped' }, 'Name of the channel'),
      this.input,
      h('button', {}, 'Open'),
      this.pause,
    ),
    this.state,
    this.events,
  );
  private readonly close: () => void;
  private isPaused = false;
  private passed = 0;

  constructor(context: ViewContext, channel: string) {
    this.input.value = channel;
    this.pause.hidden = channel === '';
    this.close =
      channel === ''
        ? () => undefined
        : openStream(
            context.api,
            'dashboard/tap',
            { channel },
            {
              onMessage: (message) => this.onMessage(message),
              onState: (state, reason) => {
                this.state.textContent =
                  state === 'open'
                    ? `Open: ${channel}`
                    : `${state === 'lost' ? 'Lost, coming back' : 'Refused'}${reason === undefined ? '' : `: ${reason}`}`;
              },
            },
          );
  }

  end(): void {
    this.close();
  }

  private open(event: Event): void {
    event.preventDefault();
    location.hash = linkTo('tap', { channel: this.input.value.trim() });
  }

  private toggle(): void {
    this.isPaused = !this.isPaused;
    this.passed = 0;
    this.pause.textContent = this.isPaused ? 'Continue' : 'Pause';
  }

  private onMessage(message: StreamMessage): void {
    if (message.type === 'subscribed' || message.type === 'resumed') return;
    if (this.isPaused) {
      if (message.type === 'event') this.passed++;
      this.pause.textContent = `Continue (${this.passed} passed)`;
      return;
    }
    const { type, event, seq, user, ts } = message;
    const payload = JSON.stringify(message.payload, undefined, 2) ?? '';
    const shown = payload.length > MAX_PAYLOAD ? `${payload.slice(0, MAX_PAYLOAD)}…` : payload;
    this.events.prepend(
      h(
        'li',
        { class: 'card' },
        h(
          'p',
          {},
          h('b', {}, type === 'event' ? (event ?? '') : type),
          seq !== undefined && ` #${seq}`,
          user !== undefined && h('span', {}, ' by ', h('a', { href: linkTo('people', { user }) }, user)),
          ts !== undefined && h('time', { class: 'quiet' }, ` ${time(ts)}`),
        ),
        shown !== '' && h('pre', {}, shown),
      ),
    );
    while (this.events.childElementCount > MAX_SHOWN) this.events.lastElementChild?.remove();
  }
}
