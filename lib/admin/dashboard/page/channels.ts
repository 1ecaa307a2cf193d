import { fill, h, table } from './dom.js';
import { count } from './format.js';
import { linkTo, sentenceOf, type ShownView, type View, type ViewContext } from './view.js';

interface Served {
  readonly channel: string;
  readonly pattern: string;
  readonly subscribers: number;
  readonly nodes: number;
  readonly members?: number;
}

const MEMBERS = {
  title: 'Members',
  isNumber: true,
  of: ({ members }: Served) => (members === undefined ? '–' : count(members)),
};
const COLUMNS = [
  { title: 'Channel', of: ({ channel }: Served) => h('a', { href: linkTo('tap', { channel }) }, channel) },
  { title: 'Pattern', of: ({ pattern }: Served) => pattern },
  {
    title: 'Subscribers',
    isNumber: true,
    of: ({ channel, subscribers }: Served) =>
      h('a', { href: linkTo('people', { channel }) }, count(subscribers)),
  },
  MEMBERS,
  { title: 'Nodes', isNumber: true, of: ({ nodes }: Served) => count(nodes) },
];

/** Nobody counts members for it: that would ask the broker for every channel of every node. */
const BUSIEST_COLUMNS = COLUMNS.filter((column) => column !== MEMBERS);

export const CHANNELS: View = {
  id: 'channels',
  title: 'Channels',
  show: (context, parameters) => new Channels(context, parameters.get('channel') ?? ''),
};

class Channels implements ShownView {
  private readonly input = h('input', {
    id: 'channel',
    name: 'channel',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  private readonly found = h('div');
  readonly element = h(
    'div',
    { class: 'view' },
    h('h2', {}, 'Channels'),
    h(
      'form',
      { class: 'search', onsubmit: (event) => this.search(event) },
      h('label', { for: 'channel' }, 'Name or pattern, such as rooms.42 or rooms.:room'),
      this.input,
      h('button', {}, 'Find'),
    ),
    this.found,
  );

  constructor(
    private readonly context: ViewContext,
    channel: string,
  ) {
    this.input.value = channel;
    void this.list(channel);
  }

  end(): void {
    // Nothing is followed.
  }

  private search(event: Event): void {
    event.preventDefault();
    location.hash = linkTo('channels', this.input.value === '' ? {} : { channel: this.input.value.trim() });
  }

  private async list(channel: string): Promise<void> {
    const { api } = this.context;
    try {
      if (channel === '') {
        const { channels } = await api.get<{ channels: readonly Served[] }>('channels/busiest', {
          limit: 50,
        });
        fill(
          this.found,
          table('Busiest channels', BUSIEST_COLUMNS, channels, 'No channel has a subscriber.'),
        );
        return;
      }
      const page = await api.get<{ channels: readonly Served[]; more?: string }>('channels', {
        channel,
        limit: 200,
      });
      fill(
        this.found,
        table('Channels that are served', COLUMNS, page.channels, 'No node serves such a channel.'),
        page.more !== undefined && h('p', {}, 'There are more: name them more exactly.'),
      );
    } catch (error) {
      fill(this.found, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }
}
