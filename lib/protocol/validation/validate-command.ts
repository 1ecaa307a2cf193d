import type { ClientCommand, ClientCommandType } from '../commands.js';
import { MAX_ID_LENGTH } from '../envelope.js';
import type { ErrorDetail } from '../realtime-error.js';
import { checkFields, isRecord } from './checks.js';
import { COMMAND_SCHEMAS } from './command-schemas.js';

/** Outcome of {@link validateCommand}. */
export type CommandValidation =
  | { readonly command: ClientCommand }
  | {
      /** The envelope's `id`, when one can be read: what the `error` answers. */
      readonly ref?: string;
      readonly message: string;
      readonly details: readonly ErrorDetail[];
    };

/**
 * Checks one decoded value against the closed set of client commands (P5, P6). Unknown fields are ignored;
 * everything that is known must have its type.
 */
export function validateCommand(value: unknown): CommandValidation {
  if (!isRecord(value)) return { message: 'An envelope must be an object', details: [] };
  const ref = readId(value);
  const type = Object.hasOwn(value, 'type') ? value['type'] : undefined;
  if (typeof type !== 'string' || !isCommandType(type)) {
    return failure(ref, 'Unknown type of command', [{ path: 'type', message: 'must be a client command' }]);
  }
  let details: ErrorDetail[] | undefined;
  const report = (detail: ErrorDetail): void => void (details ??= []).push(detail);
  const schema = COMMAND_SCHEMAS[type];
  checkFields(value, schema.top, '', report);
  if (schema.payload === undefined) {
    return details === undefined
      ? { command: value as unknown as ClientCommand }
      : failure(ref, `Malformed ${type}`, details);
  }
  const payload = Object.hasOwn(value, 'payload') ? value['payload'] : undefined;
  if (payload === undefined) {
    // Commands whose payload is wholly optional may leave it out; handlers then see an empty one.
    checkFields({}, schema.payload, 'payload', report);
    if (details !== undefined) return failure(ref, `Malformed ${type}`, details);
    return { command: { ...value, payload: {} } as unknown as ClientCommand };
  }
  if (!isRecord(payload)) report({ path: 'payload', message: 'must be an object' });
  else checkFields(payload, schema.payload, 'payload', report);
  return details === undefined
    ? { command: value as unknown as ClientCommand }
    : failure(ref, `Malformed ${type}`, details);
}

function isCommandType(type: string): type is ClientCommandType {
  return Object.hasOwn(COMMAND_SCHEMAS, type);
}

function readId(value: Record<string, unknown>): string | undefined {
  const id = Object.hasOwn(value, 'id') ? value['id'] : undefined;
  return typeof id === 'string' && id.length >= 1 && id.length <= MAX_ID_LENGTH ? id : undefined;
}

function failure(
  ref: string | undefined,
  message: string,
  details: readonly ErrorDetail[],
): CommandValidation {
  return { message, details, ...(ref === undefined ? {} : { ref }) };
}
