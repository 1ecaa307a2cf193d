import { byId } from './dom.js';

const MAX = 500;
const TELL_FROM = 400;
const form = byId('composer', HTMLFormElement);
const text = byId('text', HTMLTextAreaElement);
const count = byId('text-count', HTMLSpanElement);
const error = byId('text-error', HTMLParagraphElement);

/** The field where messages are written. A message that is too long is sent too: the server refuses it, and says why. */
export class Composer {
  private readonly listening = new AbortController();

  constructor(send: (text: string) => void, typed: () => void) {
    const { signal } = this.listening;
    this.write('');
    this.complain('');
    form.addEventListener(
      'submit',
      (event) => {
        event.preventDefault();
        const message = text.value.trim();
        if (message === '') return;
        this.write('');
        this.complain('');
        send(message);
      },
      { signal },
    );
    text.addEventListener(
      'input',
      () => {
        this.fit();
        if (text.value.trim() !== '') typed();
      },
      { signal },
    );
    text.addEventListener(
      'keydown',
      (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        form.requestSubmit();
      },
      { signal },
    );
  }

  get isEmpty(): boolean {
    return text.value === '';
  }

  write(value: string): void {
    text.value = value;
    this.fit();
  }

  complain(message: string): void {
    error.textContent = message;
    text.setAttribute('aria-invalid', String(message !== ''));
  }

  focus(): void {
    text.focus();
  }

  close(): void {
    this.listening.abort();
  }

  private fit(): void {
    const { length } = text.value.trim();
    count.textContent = `${length}/${MAX}`;
    count.hidden = length < TELL_FROM;
    count.classList.toggle('over', length > MAX);
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
  }
}
