import type { ClientStatus } from 'nestjs-realtime/client';
import { byId } from './dom.js';
import { logActivity } from './activity.js';
import type { Session } from './session.js';
import { nameOf, showTransportSwitch } from './transport.js';

/** What a visitor is told where the server ended the connection for good; the client has the name of the close only. */
const WORDS: Partial<Record<NonNullable<ClientStatus['name']>, string>> = {
  kicked: 'you were disconnected by a moderator',
  banned: 'you are banned from this chat',
  unauthorized: 'log in again',
  rate_abuse: 'too much was sent from here',
  superseded: 'another tab took over',
};

const status = byId('connection', HTMLOutputElement);
const chat = byId('chat', HTMLDivElement);
const button = byId('cut', HTMLButtonElement);

/** Shows the state of the connection, and the button that cuts it. */
export function showConnection({ client, line }: Session): void {
  let shown: ClientStatus = client.status;
  let nextAttempt = 0;

  const paint = (): void => {
    status.dataset.state = shown.state;
    status.dataset.transport = shown.transport ?? '';
    chat.dataset.live = String(shown.state === 'live');
    status.textContent = labelOf(shown, Math.ceil((nextAttempt - performance.now()) / 1_000));
    button.textContent = shown.state === 'closed' ? 'Connect' : line.isCut ? 'Restore' : 'Cut the connection';
    button.dataset.cut = String(line.isCut);
  };

  client.on('state', (next) => {
    if (next.state === 'waiting') nextAttempt = performance.now() + (next.delayMs ?? 0);
    if (next.state === 'waiting' && shown.state === 'live') {
      logActivity(`Connection lost (${next.name ?? `code ${next.code ?? 1006}`})`, 'bad');
    }
    if (next.state === 'live' && shown.state !== 'live')
      logActivity(`Connected: ${nameOf(next.transport)}`, 'good');
    if (next.state === 'closed') logActivity(`Closed: ${reasonOf(next)}`, 'bad');
    shown = next;
    paint();
  });

  showTransportSwitch();
  button.addEventListener('click', () => {
    if (shown.state === 'closed') void client.connect();
    else if (line.isCut) {
      line.restore();
      logActivity('The connection is restored: the next attempt will succeed');
    } else line.cut();
    paint();
  });

  setInterval(() => {
    if (shown.state === 'waiting') paint();
  }, 250);
  paint();
}

function labelOf(status: ClientStatus, seconds: number): string {
  switch (status.state) {
    case 'live':
      return `Live: ${nameOf(status.transport)}`;
    case 'waiting':
      return seconds > 0 ? `Waiting, next attempt in ${seconds} s` : 'Waiting';
    case 'closed':
      return `Closed: ${reasonOf(status)}`;
    default:
      return 'Connecting';
  }
}

function reasonOf({ reason, name, code }: ClientStatus): string {
  return (name && WORDS[name]) ?? reason ?? name ?? String(code ?? 'no reason given');
}
