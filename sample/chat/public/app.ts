import { showConnection } from './connection.js';
import { byId, displayName, paintAvatar, wordsOf } from './dom.js';
import { logActivity } from './activity.js';
import { mark, showLobby } from './lobby.js';
import { listenForNotices } from './notices.js';
import { RoomView } from './room.js';
import { openSession, PasswordNeeded, type Session } from './session.js';

const NAME = 'chat-name';
const login = byId('login', HTMLElement);
const chat = byId('chat', HTMLDivElement);
const form = byId('login-form', HTMLFormElement);
const name = byId('name', HTMLInputElement);
const password = byId('password', HTMLInputElement);
const passwordField = byId('password-field', HTMLDivElement);
const error = byId('login-error', HTMLParagraphElement);
const welcome = byId('welcome', HTMLElement);
const notice = byId('notice', HTMLParagraphElement);
const stage = byId('room', HTMLElement);

let room: RoomView | undefined;

function showLogin(message = ''): void {
  login.hidden = false;
  error.textContent = message;
  if (passwordField.hidden) name.focus();
  else password.focus();
}

/** Shows why somebody did not get in; who needs a password is asked for it. */
function refuse(as: string, reason: unknown): void {
  name.value = as;
  passwordField.hidden = !(reason instanceof PasswordNeeded);
  showLogin(wordsOf(reason));
}

async function enter(as: string, secret = ''): Promise<void> {
  const session = await openSession(as, secret);
  // A name is not a secret, so it may survive a reload. Tokens and the session's ticket stay in memory.
  sessionStorage.setItem(NAME, as);
  password.value = '';
  login.hidden = true;
  chat.hidden = false;
  byId('me', HTMLSpanElement).textContent = session.user.name;
  paintAvatar(byId('me-avatar', HTMLSpanElement), session.user.id);
  showConnection(session);
  showLobby(session);
  window.addEventListener('hashchange', () => showRoom(session));
  showRoom(session);
  // When the client stops before it was live, its state shows the reason.
  listenForNotices(session, ({ room: left, title, by }) => {
    const text = `${displayName(by)} removed you from “${title}”`;
    logActivity(text, 'bad');
    if (roomInAddress() === left) history.replaceState(null, '', '#');
    if (roomInAddress() === undefined) showRoom(session, text);
  }).catch(() => undefined);
  byId('leave', HTMLButtonElement).addEventListener('click', () => {
    sessionStorage.removeItem(NAME);
    location.hash = '';
    location.reload();
  });
  // Closes properly, so that the others see it at once; a member that is only cut off stays in the list for a while.
  window.addEventListener('pagehide', () => void session.client.close());
  window.addEventListener('pageshow', (event) => event.persisted && location.reload());
}

function showRoom(session: Session, reason = ''): void {
  room?.close();
  const id = roomInAddress();
  chat.dataset.view = id === undefined ? 'rooms' : 'room';
  welcome.hidden = id !== undefined;
  stage.hidden = id === undefined;
  notice.textContent = reason;
  notice.hidden = reason === '';
  document.title = 'Chat';
  mark();
  room =
    id === undefined
      ? undefined
      : new RoomView(session, id, (why) => {
          history.replaceState(null, '', '#');
          showRoom(session, why);
        });
  void room?.open();
}

function roomInAddress(): string | undefined {
  return /^#\/rooms\/([a-z0-9-]+)$/.exec(location.hash)?.[1];
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  enter(name.value, password.value).catch((reason: unknown) => refuse(name.value, reason));
});

const known = sessionStorage.getItem(NAME);
if (known === null) showLogin();
else enter(known).catch((reason: unknown) => refuse(known, reason));
