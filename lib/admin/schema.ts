import { networkIn } from '../core/engine/cluster/session-filter.js';
import { isUserId, MAX_USER_ID_BYTES, USER_ID_RULE } from '../core/ports/user-id.js';
import { DURATION_HINT, toMilliseconds } from '../nest/options/duration.js';
import { isChannelName, MAX_CHANNEL_LENGTH } from '../protocol/channel-name.js';
import { isRecord, matching, text as checkText, type Check } from '../protocol/validation/checks.js';

/** A schema as OpenAPI 3.0 writes it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a value must be: how it is checked, and how the OpenAPI document describes it. */
export interface Schema<T = unknown> {
  readonly check: Check;
  readonly json: JsonSchema;
  /** The value that a text of a query stands for; what is none stays text, which the check refuses. Default: the text. */
  readonly ofText?: (text: string) => unknown;
  /** Of an object: its fields. */
  readonly fields?: Readonly<Record<string, Schema>>;
  /** Of an object: the names of those that must be there. */
  readonly required?: readonly string[];
  /** Never there: carries the type. */
  readonly type?: T;
}

type Fields = Readonly<Record<string, Schema>>;
type ValueOf<S> = S extends Schema<infer T> ? T : never;
type ObjectOf<Required extends Fields, Optional extends Fields> = {
  readonly [Name in keyof Required]: ValueOf<Required[Name]>;
} & { readonly [Name in keyof Optional]?: ValueOf<Optional[Name]> };

/** The same schema, with what it means here. */
export function described<T>(schema: Schema<T>, description: string, example?: unknown): Schema<T> {
  const json = { ...schema.json, description, ...(example === undefined ? {} : { example }) };
  return { ...schema, json };
}

/** Unicode text of `min` to `max` characters. */
export function text(max: number, min = 1): Schema<string> {
  return { check: checkText(max, min), json: { type: 'string', minLength: min, maxLength: max } };
}

export function whole(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Schema<number> {
  const isOne = (value: unknown): boolean =>
    Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
  return {
    check: matching(isOne, `must be a whole number from ${minimum} to ${maximum}`),
    json: { type: 'integer', minimum, maximum },
    ofText: (given) => (/^\d{1,16}$/.test(given) ? Number(given) : given),
  };
}

export const flag: Schema<boolean> = {
  check: matching((value) => typeof value === 'boolean', 'must be true or false'),
  json: { type: 'boolean' },
  ofText: (given) => (given === 'true' ? true : given === 'false' ? false : given),
};

export function choice<const T extends string>(values: readonly T[]): Schema<T> {
  return {
    check: matching((value) => values.includes(value as T), `must be one of: ${values.join(', ')}`),
    json: { type: 'string', enum: values },
  };
}

/** Any value of JSON. */
export const anything: Schema<unknown> = { check: (value) => value, json: {} };

export const record: Schema<Readonly<Record<string, unknown>>> = {
  check: matching(isRecord, 'must be an object'),
  json: { type: 'object', additionalProperties: true },
};

export const userId: Schema<string> = {
  check: matching(isUserId, `must be ${USER_ID_RULE}`),
  json: { type: 'string', minLength: 1, maxLength: MAX_USER_ID_BYTES, example: 'u7' },
};

export const address: Schema<string> = {
  // The first bits that count are the engine's; whether it is an address depends on none.
  check: matching(
    (value) => typeof value === 'string' && value.length <= 64 && isNetwork(value),
    'must be an IP address or network as connections are listed with, such as "203.0.113.7"',
  ),
  json: { type: 'string', minLength: 2, maxLength: 64, example: '203.0.113.7' },
};

/** The name of one channel. */
export const channelName: Schema<string> = {
  check: matching(
    (value) => isChannelName(value) && !isPattern(value),
    'must be the name of one channel, such as "rooms.42"; patterns are not taken here',
  ),
  json: { type: 'string', minLength: 1, maxLength: MAX_CHANNEL_LENGTH, example: 'rooms.42' },
};

/** The name of a channel, or a pattern as in `@Channel`. */
export const channelSet: Schema<string> = {
  check: matching(
    (value) => isChannelName(value) || (typeof value === 'string' && value.length <= 512 && isPattern(value)),
    'must be a channel name, such as "rooms.42", or a pattern, such as "rooms.:room"',
  ),
  json: { type: 'string', minLength: 1, maxLength: 512, example: 'rooms.:room' },
};

/** A span of time above zero: milliseconds, or a number with a unit. */
export const duration: Schema<number> = {
  check: (value, path, report) => {
    const milliseconds = toMilliseconds(value);
    if (milliseconds === undefined || milliseconds < 1 || !Number.isSafeInteger(milliseconds))
      report({ path, message: `must be a duration of at least 1 ms. ${DURATION_HINT}` });
    return milliseconds;
  },
  json: {
    oneOf: [
      { type: 'integer', minimum: 1 },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$' },
    ],
    example: '1h',
  },
};

/** A list of `min` to `max` items. */
export function list<T>(item: Schema<T>, max: number, min = 0): Schema<readonly T[]> {
  return {
    check: (value, path, report) => {
      if (!Array.isArray(value) || value.length > max || value.length < min) {
        report({ path, message: `must be a list of ${min} to ${max} items` });
        return value;
      }
      return value.map((entry, index) => item.check(entry, `${path}.${index}`, report));
    },
    json: { type: 'array', items: item.json, minItems: min, maxItems: max },
  };
}

/** An object with these fields and no others: what is misspelt must not be left out in silence. */
export function object<Required extends Fields, Optional extends Fields>(
  required: Required,
  optional: Optional,
): Schema<ObjectOf<Required, Optional>> {
  const fields: Fields = { ...required, ...optional };
  const names = Object.keys(fields);
  return {
    fields,
    required: Object.keys(required),
    check: (value, path, report) => {
      if (!isRecord(value)) {
        report({ path, message: 'must be an object' });
        return value;
      }
      const known: Record<string, unknown> = {};
      for (const name of Object.keys(value)) {
        const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
        if (field === undefined) report({ path: join(path, name), message: unknownField(names) });
        else if (value[name] !== undefined) known[name] = field.check(value[name], join(path, name), report);
      }
      for (const name of Object.keys(required))
        if (!Object.hasOwn(value, name) || value[name] === undefined)
          report({ path: join(path, name), message: 'is required' });
      return known;
    },
    json: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(fields).map(([name, { json }]) => [name, json])),
      ...(Object.keys(required).length === 0 ? {} : { required: Object.keys(required) }),
      additionalProperties: false,
    },
  };
}

/** An object of which exactly one of some fields must be there. */
export function oneOf<T>(schema: Schema<T>, names: readonly string[]): Schema<T> {
  return {
    ...schema,
    check: (value, path, report) => {
      const known = schema.check(value, path, report);
      const given = isRecord(known) ? names.filter((name) => Object.hasOwn(known, name)) : [];
      if (isRecord(value) && given.length !== 1)
        report({
          path: path === '' ? names.join('|') : path,
          message: `give exactly one of: ${names.join(', ')}`,
        });
      return known;
    },
    json: { ...schema.json, oneOf: names.map((name) => ({ required: [name] })) },
  };
}

function unknownField(names: readonly string[]): string {
  return names.length === 0
    ? 'is not known here: nothing is taken'
    : `is not known here: leave it out, or use one of: ${names.join(', ')}`;
}

function isPattern(value: string): boolean {
  return /(^|\.):/.test(value);
}

function isNetwork(value: string): boolean {
  const [, bits] = value.split('/', 2);
  return networkIn(value, bits === undefined ? 64 : Number(bits)) !== undefined;
}

/** The names come from a caller: what is long is cut. */
function join(path: string, name: string): string {
  const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name;
  return path === '' ? shown : `${path}.${shown}`;
}
