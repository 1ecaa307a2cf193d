import { fill, h } from './dom.js';

/** Asks for the token that the guards of the admin API know. It stays in this page, and is gone when the page is. */
export function showSignIn(main: HTMLElement, signIn: (token: string) => void): void {
  const token = h('input', {
    id: 'token',
    name: 'token',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    signIn(token.value.trim());
  };
  fill(
    main,
    h(
      'form',
      { class: 'card sign-in', onsubmit: submit },
      h('h2', {}, 'Sign in'),
      h(
        'p',
        {},
        'The server does not know who you are. Give a token that its guards take; it is sent as a bearer token and kept nowhere.',
      ),
      h('div', { class: 'field' }, h('label', { for: 'token' }, 'Token'), token),
      h('button', {}, 'Sign in'),
    ),
  );
  token.focus();
}
