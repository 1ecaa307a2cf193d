import { Api } from './api.js';
import { AUDIT } from './audit.js';
import { CHANNELS } from './channels.js';
import { byId, fill, h } from './dom.js';
import { LIMITS } from './limits.js';
import { NODES } from './nodes.js';
import { OVERVIEW } from './overview.js';
import { PEOPLE } from './people.js';
import { Samples, type NodeSample } from './samples.js';
import { showSignIn } from './sign-in.js';
import { openStream, type StreamMessage } from './stream.js';
import { TAP } from './tap.js';
import { linkTo, type ShownView, type View } from './view.js';

interface Readings {
  readonly nodes: readonly NodeSample[];
  readonly missing: readonly string[];
}

const VIEWS: readonly View[] = [OVERVIEW, NODES, CHANNELS, PEOPLE, TAP, AUDIT, LIMITS];
/** How long nothing may come before the node is asked by itself, in milliseconds: its broker may be away. */
const SILENCE_MS = 4_000;
const NOTICE_MS = 6_000;

/** The page: it shows one view at a time, and follows what the nodes say. */
class App {
  private readonly api = new Api(() => this.signedOut());
  private readonly samples = new Samples();
  private readonly main = byId('view', HTMLElement);
  private readonly state = byId('state', HTMLElement);
  private readonly notice = byId('notice', HTMLElement);
  private readonly signOut = byId('sign-out', HTMLButtonElement);
  private shown: ShownView | undefined;
  private closeStream: (() => void) | undefined;
  private heardAt = 0;
  private noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const items = VIEWS.map(({ id, title }) =>
      h('li', {}, h('a', { href: linkTo(id), id: `to-${id}` }, title)),
    );
    fill(byId('views', HTMLElement), ...items);
    addEventListener('hashchange', () => this.show());
    this.signOut.addEventListener('click', () => this.signedOut());
    setInterval(() => void this.askIfSilent(), SILENCE_MS / 2);
    this.signedIn();
  }

  private signedIn(): void {
    this.signOut.hidden = !this.api.hasToken;
    this.state.textContent = 'Connecting…';
    this.heardAt = Date.now();
    this.closeStream = openStream(
      this.api,
      'dashboard/readings',
      {},
      {
        onMessage: (message) => this.onMessage(message),
        onState: (state, reason) => {
          if (state === 'open') this.state.textContent = 'Connected';
          else
            this.state.textContent = `${state === 'lost' ? 'Connection lost, coming back' : 'Refused'}${reason === undefined ? '' : `: ${reason}`}`;
          this.state.className = state === 'open' ? 'good' : 'bad';
        },
      },
    );
    this.show();
  }

  private signedOut(): void {
    this.closeStream?.();
    this.closeStream = undefined;
    this.api.signOut();
    this.signOut.hidden = true;
    this.shown?.end();
    this.shown = undefined;
    this.state.textContent = '';
    showSignIn(this.main, (token) => {
      this.api.signIn(token);
      this.signedIn();
    });
  }

  private show(): void {
    if (this.closeStream === undefined) return;
    const [id = '', query = ''] = location.hash.slice(1).split('?', 2);
    const view = VIEWS.find((known) => known.id === id) ?? OVERVIEW;
    for (const known of VIEWS) {
      const link = byId(`to-${known.id}`, HTMLAnchorElement);
      if (known === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.title = `${view.title} · Realtime dashboard`;
    this.shown?.end();
    const { api, samples } = this;
    this.shown = view.show({ api, samples, notify: (text) => this.notify(text) }, new URLSearchParams(query));
    fill(this.main, this.shown.element);
  }

  private onMessage({ type, event, ts, payload }: StreamMessage): void {
    if (type !== 'event' || event !== 'readings') return;
    this.take(ts ?? Date.now(), payload as Readings);
  }

  private take(at: number, { nodes, missing }: Readings): void {
    this.heardAt = Date.now();
    this.samples.add(at, nodes, missing);
  }

  /** The stream comes through the broker; where that is away, this node can still say how it is. */
  private async askIfSilent(): Promise<void> {
    if (this.closeStream === undefined || Date.now() - this.heardAt < SILENCE_MS) return;
    try {
      this.take(Date.now(), await this.api.get<Readings>('nodes/readings', { own: true }));
      this.state.textContent = 'The broker delivers nothing: this node only';
      this.state.className = 'bad';
    } catch {
      // The state says already that nothing comes.
    }
  }

  private notify(text: string): void {
    clearTimeout(this.noticeTimer);
    this.notice.hidden = false;
    this.notice.textContent = text;
    this.noticeTimer = setTimeout(() => {
      this.notice.hidden = true;
    }, NOTICE_MS);
  }
}

new App();
