import { describe, expect, it } from '@jest/globals';
import { EMOJI_WALL, plainText } from '../../../../../lib/core/access/spam/plain-text.js';
import { areNear, sketchOf } from '../../../../../lib/core/access/spam/sketch.js';
import { textOf } from '../../../../../lib/core/access/spam/text-of.js';

const plain = (raw: string): string => plainText(raw).text;

describe('a text as it is compared', () => {
  it.each([
    ['Free COINS', 'free coins'],
    ['free   coins\n', 'free coins'],
    ['fr\u200bee\u2060 co\u00adins\ufeff', 'free coins'],
    ['freeee cooooins!!!', 'free coins'],
    ['free coins #12', 'free coins'],
    ['frée cöins', 'free coins'],
    ['ｆｒｅｅ ｃｏｉｎｓ', 'free coins'],
    ['frее соins', 'free coins'],
    ['fr3e c0ins', 'free coins'],
    ['free c0!ns', 'free coins'],
    ['f\u0336r\u0336e\u0336e\u0336 coins', 'free coins'],
    ['🔥free🔥 coins 🔥', 'free coins'],
  ])('%p is as good as another spelling of it', (raw) => {
    expect(plain(raw)).toBe(plain('free coins'));
  });

  it.each([
    ['ok', 'no'],
    ['12:30', '17:45'],
    ['3', '4'],
    ['👍', '😂'],
    ['привет', 'спасибо'],
    ['你好', '谢谢'],
    ['?', '!'],
  ])('%p is not %p', (one, other) => {
    expect(plain(one)).not.toBe(plain(other));
    expect(plain(one)).not.toBe('');
  });

  it('has the hosts of links instead of their paths', () => {
    expect(plainText('look https://www.win.example:8080/a1?b=2#c now')).toEqual({
      text: 'lok win example now',
      hosts: ['win.example'],
    });
    expect(plain('www.win.example/x')).toBe(plain('https://WIN.example/y'));
    expect(plainText('no link at all. Really').hosts).toEqual([]);
  });

  it('takes many emoji alone for a wall, whichever they are', () => {
    expect(plain('🔥'.repeat(9))).toBe(EMOJI_WALL);
    expect(plain('🔥💰 🚀'.repeat(20))).toBe(EMOJI_WALL);
    expect(plain('🔥💰🚀')).not.toBe(EMOJI_WALL);
    expect(plain('🔥'.repeat(8))).not.toBe(EMOJI_WALL);
  });

  it('keeps scripts apart that a word has alone', () => {
    expect(plain('сор')).toBe('сор');
  });

  it('is bounded, whatever the characters of the text become and however many cannot be seen', () => {
    expect(plain('\ufdfa'.repeat(4_096)).length).toBeLessThanOrEqual(1_024);
    expect(plain('\u3316'.repeat(4_096)).length).toBeLessThanOrEqual(1_024);
    expect(plain('ab '.repeat(4_096)).length).toBeLessThanOrEqual(1_024);
    expect(plain(`${'\u200b'.repeat(3_000)}free coins`)).toBe('fre coins');
  });

  it('takes time that grows with the text and no more, whatever it is', () => {
    for (const piece of ['a', '1', '@', 'http://', '\u200b', '🔥', 'www.', '.', 'a1', 'é', '/', '0a', ' ']) {
      const startedAt = process.hrtime.bigint();
      plainText(piece.repeat(65_536 / piece.length));
      expect(Number(process.hrtime.bigint() - startedAt) / 1e6).toBeLessThan(500);
    }
  });
});

describe('near-equal texts', () => {
  const near = (one: string, other: string): boolean => areNear(sketchOf(plain(one)), sketchOf(plain(other)));
  const text = 'buy cheap followers now, best prices guaranteed, write me a private message';

  it('share most of their letters in a row', () => {
    expect(near(text, text)).toBe(true);
    expect(near(text, `${text} my friend`)).toBe(true);
    expect(near(text, text.replace('now', 'today'))).toBe(true);
    expect(near(text, `hello ${text}`)).toBe(true);
  });

  it('are not texts about the same, or with a few words in common', () => {
    expect(near(text, 'I have to buy new trousers, the best prices are in town')).toBe(false);
    expect(near('the build is down again', 'the train is down again')).toBe(false);
    expect(near(text, 'ok')).toBe(false);
    expect(near('ok', text)).toBe(false);
  });

  it('are compared where they are short, too', () => {
    expect(near('ok', 'OK')).toBe(true);
    expect(near('a', 'b')).toBe(false);
    expect(near('yes', 'no')).toBe(false);
  });
});

describe('the text of a payload', () => {
  it.each([
    ['hello', 'hello'],
    [{ text: 'hello', nonce: 'x81' }, 'hello'],
    [{ nonce: 'x81', body: 'hello' }, 'hello'],
    [{ text: 7, title: 'a', more: ['b', { c: 'd' }] }, 'a b d'],
    [7, ''],
    [null, ''],
    [undefined, ''],
    [{}, ''],
    [new Uint8Array(8), ''],
  ])('of %p is %p', (payload, text) => {
    expect(textOf(payload)).toBe(text);
  });

  it('is bounded, however deep and wide the payload is', () => {
    let deep: unknown = 'x';
    for (let depth = 0; depth < 10_000; depth++) deep = [deep];
    expect(textOf(deep)).toBe('');
    expect(textOf('x'.repeat(100_000)).length).toBe(8_192);
    expect(textOf({ text: 'x'.repeat(100_000) }).length).toBe(8_192);
    expect(textOf(Array.from({ length: 100_000 }, () => 'xy')).length).toBeLessThan(8_193);
  });
});
