import { confirmAct, type Act } from './act-dialog.js';
import { fill, h, table } from './dom.js';
import { bytes, count, time } from './format.js';
import { searchForm, valuesFor } from './search-form.js';
import { linkTo, sentenceOf, type ShownView, type View, type ViewContext } from './view.js';

interface Session {
  readonly id: string;
  readonly lineage?: string;
  readonly node: string;
  readonly user?: string;
  readonly ip: string;
  readonly transport: string;
  readonly connectedAt: number;
  readonly channels: number;
}

interface Details extends Session {
  readonly waitingBytes: number;
  readonly blocked: boolean;
  readonly subscriptions: readonly { channel: string; behind: number; live: boolean }[];
}

interface Receipt {
  readonly confirmed: readonly string[];
  readonly missing: readonly string[];
}

/** What connections are looked up by. */
const FILTERS = [
  ['user', 'User'],
  ['channel', 'Channel'],
  ['address', 'Address'],
] as const;

export const PEOPLE: View = {
  id: 'people',
  title: 'People',
  show: (context, parameters) => new People(context, parameters),
};

class People implements ShownView {
  private readonly found = h('div');
  private readonly details = h('div');
  readonly element: HTMLElement;

  constructor(
    private readonly context: ViewContext,
    private readonly parameters: URLSearchParams,
  ) {
    this.element = h(
      'div',
      { class: 'view' },
      h('h2', {}, 'People'),
      searchForm('by', FILTERS, parameters, (values) => this.search(values)),
      this.found,
      this.details,
    );
    void this.list();
    const session = parameters.get('session');
    if (session !== null) void this.open(session);
  }

  end(): void {
    // Nothing is followed.
  }

  private search(given: Readonly<Record<string, string>>): void {
    location.hash = linkTo('people', given);
  }

  private get filter(): Readonly<Record<string, string>> {
    return valuesFor(FILTERS, this.parameters);
  }

  private async list(): Promise<void> {
    try {
      const page = await this.context.api.get<{
        sessions: readonly Session[];
        more?: string;
        missing: readonly string[];
      }>('connections', { ...this.filter, limit: 100 });
      fill(
        this.found,
        this.actsOnUser(),
        table(
          'Connections',
          [
            {
              title: 'User',
              of: ({ user }) =>
                user === undefined ? 'anonymous' : h('a', { href: linkTo('people', { user }) }, user),
            },
            {
              title: 'Session',
              of: ({ id }) => h('a', { href: linkTo('people', { ...this.filter, session: id }) }, id),
            },
            { title: 'Address', of: ({ ip }) => h('a', { href: linkTo('people', { address: ip }) }, ip) },
            { title: 'Transport', of: ({ transport }) => transport },
            { title: 'Since', of: ({ connectedAt }) => time(connectedAt) },
            { title: 'Channels', isNumber: true, of: ({ channels }) => count(channels) },
            { title: 'Node', of: ({ node }) => node },
          ],
          page.sessions,
          'Nobody is connected.',
        ),
        page.more !== undefined && h('p', {}, 'There are more: these are the first.'),
        page.missing.length > 0 && h('p', { class: 'bad' }, `No answer from ${page.missing.join(', ')}.`),
      );
    } catch (error) {
      fill(this.found, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }

  private actsOnUser(): HTMLElement | false {
    const user = this.parameters.get('user');
    if (user === null) return false;
    const ask = (act: Act) => () => confirmAct(act, this.done);
    return h(
      'p',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: ask(this.disconnect(user)) }, 'Disconnect…'),
      h('button', { type: 'button', onclick: ask(this.restrict('mute', user)) }, 'Mute…'),
      h('button', { type: 'button', class: 'danger', onclick: ask(this.restrict('ban', user)) }, 'Ban…'),
    );
  }

  private readonly done = (text: string): void => {
    this.context.notify(text);
    void this.list();
  };

  private disconnect(user: string): Act {
    return {
      title: `Disconnect ${user}`,
      text: 'Closes all connections of the user. Nothing keeps the client out if it comes back.',
      button: 'Disconnect',
      run: async (values) =>
        outcomeOf('Disconnected', await this.context.api.post('connections/disconnect', { user, ...values })),
    };
  }

  private restrict(act: 'ban' | 'mute', user: string): Act {
    const isBan = act === 'ban';
    return {
      title: `${isBan ? 'Ban' : 'Mute'} ${user}`,
      text: isBan
        ? 'Keeps the user out, of one channel or everywhere.'
        : 'Lets the user read only, in one channel or everywhere.',
      button: isBan ? 'Ban' : 'Mute',
      fields: [
        { name: 'channel', label: 'Channel; empty: everywhere' },
        { name: 'for', label: 'How long; empty: without end', hint: '10m, 1h, 7d' },
      ],
      run: async (values) =>
        outcomeOf(isBan ? 'Banned' : 'Muted', await this.context.api.post(act, { user, ...values })),
    };
  }

  private async open(session: string): Promise<void> {
    try {
      const { session: found } = await this.context.api.get<{ session?: Details }>('connections/one', {
        session,
      });
      fill(
        this.details,
        found === undefined ? h('p', { class: 'empty' }, 'This connection is gone.') : this.card(found),
      );
    } catch (error) {
      fill(this.details, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }

  private card({ id, lineage, waitingBytes, blocked, subscriptions }: Details): HTMLElement {
    const disconnect: Act = {
      title: 'Disconnect this session',
      text: 'Closes this connection. Nothing keeps the client out if it comes back.',
      button: 'Disconnect',
      run: async (values) =>
        outcomeOf(
          'Disconnected',
          await this.context.api.post('connections/disconnect', { session: id, ...values }),
        ),
    };
    return h(
      'section',
      { class: 'card' },
      h('h3', {}, `Session ${id}`),
      h('p', {}, `${bytes(waitingBytes)} wait for it. ${blocked ? 'Its socket takes nothing.' : ''}`),
      lineage !== undefined &&
        h('p', { class: 'quiet' }, `Lineage ${lineage}: a ban of the session goes by it.`),
      h(
        'p',
        { class: 'buttons' },
        h('button', { type: 'button', onclick: () => confirmAct(disconnect, this.done) }, 'Disconnect…'),
      ),
      table(
        'Its channels',
        [
          { title: 'Channel', of: ({ channel }) => h('a', { href: linkTo('tap', { channel }) }, channel) },
          {
            title: 'Lag',
            isNumber: true,
            of: ({ behind }) => (behind === 0 ? 'none' : `${count(behind)} events`),
          },
          { title: 'State', of: ({ live }) => (live ? 'live' : 'catching up') },
        ],
        subscriptions,
        'It is subscribed to nothing.',
      ),
    );
  }
}

function outcomeOf(done: string, { confirmed, missing }: Receipt): string {
  const nodes = `${confirmed.length} ${confirmed.length === 1 ? 'node' : 'nodes'}`;
  return missing.length === 0
    ? `${done}, on ${nodes}.`
    : `${done}, on ${nodes}; no answer yet from ${missing.join(', ')}.`;
}
