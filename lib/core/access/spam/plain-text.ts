/** Characters of a text that are looked at, for those that can be seen. */
const MAX_LOOKED_AT = 4_096;
/** Characters of a text that are compared. */
const MAX_COMPARED = 1_024;
const INVISIBLE = /[\p{Cf}\p{Mn}\p{Me}\u115f\u1160\u3164\uffa0]/gu;
/** Emoji in a text that is nothing else, above which it is a wall. */
const MAX_EMOJI = 8;
/** What stands for a wall of emoji. */
export const EMOJI_WALL = '☺';

/** Letters of other scripts, and digits and signs in words, that look like Latin letters. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  а: 'a',
  е: 'e',
  о: 'o',
  р: 'p',
  с: 'c',
  у: 'y',
  х: 'x',
  і: 'i',
  ј: 'j',
  ѕ: 's',
  һ: 'h',
  ԁ: 'd',
  ո: 'n',
  к: 'k',
  м: 'm',
  т: 't',
  в: 'b',
  н: 'h',
  ɡ: 'g',
  ı: 'i',
  ӏ: 'l',
  α: 'a',
  ε: 'e',
  ι: 'i',
  κ: 'k',
  ν: 'v',
  ο: 'o',
  ρ: 'p',
  τ: 't',
  υ: 'u',
  χ: 'x',
};
const IN_WORDS: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
};

/** A text as it is compared. */
export interface PlainText {
  /** Without what makes equal texts look different. */
  readonly text: string;
  /** Hosts of the links in it, without a leading `www.`. */
  readonly hosts: readonly string[];
}

/**
 * What a reader sees of a text: without case, accents, characters that cannot be seen, repeated letters, numbers, punctuation, and the
 * paths of links; letters that look like Latin ones are those, in words that have Latin ones. Where nothing is left, the text itself.
 */
export function plainText(raw: string): PlainText {
  const hosts: string[] = [];
  const seen = raw
    .slice(0, MAX_LOOKED_AT)
    .replace(INVISIBLE, '')
    .slice(0, MAX_COMPARED)
    .normalize('NFKD')
    // One character may become eighteen.
    .slice(0, MAX_COMPARED)
    .replace(INVISIBLE, '')
    .toLowerCase();
  const withoutLinks = seen.replace(
    /(?:https?:\/\/|www\.)([a-z0-9.-]+)(?::\d+)?(?:[/?#]\S*)?/gu,
    (_, host: string) => {
      const name = host.replace(/^www\.|\.$/g, '');
      hosts.push(name);
      return ` ${name} `;
    },
  );
  const emoji = withoutLinks.match(/\p{Extended_Pictographic}/gu)?.length ?? 0;
  const words = withoutLinks.replace(/\p{Extended_Pictographic}/gu, ' ');
  const text = words
    .replace(/[\p{L}\p{N}@$!.]+/gu, spelt)
    .replace(/\p{N}+|[^\p{L}\s]+/gu, ' ')
    .replace(/(\p{L})\1+/gu, '$1')
    .replace(/\s+/g, ' ')
    .trim();
  if (text !== '') return { text, hosts };
  if (emoji > MAX_EMOJI) return { text: EMOJI_WALL, hosts };
  return {
    text: seen
      .replace(/(\P{N})\1+/gu, '$1')
      .replace(/\s+/g, ' ')
      .trim(),
    hosts,
  };
}

/** A word whose look-alikes are letters. */
function spelt(word: string): string {
  const letters = /[a-z]/.test(word)
    ? word.replace(/\P{ASCII}/gu, (letter) => LOOKALIKES[letter] ?? letter)
    : word;
  // A word that is mostly letters, not a number with a unit.
  if ((letters.match(/\p{L}/gu)?.length ?? 0) * 2 <= letters.length) return letters;
  const first = letters.search(/\p{L}/u);
  let end = letters.length;
  while (!/\p{L}/u.test(letters.charAt(end - 1)) && end > first + 1) end--;
  const within = letters.slice(first, end).replace(/[013457@$!]/g, (sign) => IN_WORDS[sign] ?? sign);
  return letters.slice(0, first) + within + letters.slice(end);
}
