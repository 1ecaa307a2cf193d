/** The element with an id. Its class is checked, so that a typo in the page is an error that names it. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} with the id "${id}"`);
}

/** A copy of a `<template>`'s only element, and a function that finds its parts. */
export function copyOf(templateId: string): { root: HTMLElement; part: (selector: string) => HTMLElement } {
  const template = byId(templateId, HTMLTemplateElement);
  const root = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
  const part = (selector: string): HTMLElement => {
    const found = root.querySelector<HTMLElement>(selector);
    if (found !== null) return found;
    throw new Error(`The template "${templateId}" has no "${selector}"`);
  };
  return { root, part };
}

/** Draws the initial of a user. The colour depends only on the id. */
export function paintAvatar(element: HTMLElement, id: string): void {
  const sum = [...id].reduce((total, letter) => (total * 33 + (letter.codePointAt(0) ?? 0)) % 10_007, 5);
  element.textContent = displayName(id).slice(0, 1);
  element.dataset.tone = String(sum % 8);
}

/** Shows "ada lovelace" as "Ada Lovelace", as the server does. Only ids are shown, because the server verified them. */
export function displayName(id: string): string {
  return id.replace(/(?<=^|[ -])\p{L}/gu, (letter) => letter.toUpperCase());
}

/** A number with its noun: "1 message", "3 messages". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Makes a sentence for the user from an error. */
export function wordsOf(error: unknown): string {
  const { details, message } = error as { details?: readonly { message: string }[]; message?: string };
  const text = details?.[0]?.message ?? message ?? String(error);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
