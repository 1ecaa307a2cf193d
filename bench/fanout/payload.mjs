/**
 * What an event carries.
 *
 * @param {{ bytes: number, shape?: 'text' | 'document' }} settings `text` is one string; `document` is what an
 * application sends, and compresses like it.
 * @param {number} turn Makes documents differ from turn to turn.
 */
export function payloadOf({ bytes, shape = 'text' }, turn) {
  if (shape === 'text') return 'x'.repeat(bytes);
  const positions = [];
  const payload = { account: 'eu-west-7731', currency: 'EUR', positions };
  for (let index = 0; JSON.stringify(payload).length < bytes; index++) {
    const number = (index * 7919 + turn * 104729) % 100_000;
    positions.push({
      symbol: `ACME${number % 97}`,
      price: number / 100,
      volume: (number * 31) % 9_999,
      updatedAt: 1_767_225_600_000 + number,
    });
  }
  return payload;
}
