import type { ClientCommand, ClientCommandType } from '../commands.js';
import { MAX_ID_LENGTH } from '../envelope.js';
import { omitUndefined } from '../omit-undefined.js';
import type { ErrorDetail } from '../realtime-error.js';
import { checkFields, isRecord } from './checks.js';
import { COMMAND_SCHEMAS } from './command-schemas.js';

/** Outcome of {@link validateCommand}. */
export type CommandValidation =
  | { readonly command: ClientCommand }
  | {
      /** The envelope's `id`, when one can be read: the `ref` of the `error` that answers it. */
      readonly ref?: string;
      readonly message: string;
      readonly details: readonly ErrorDetail[];
    };

/**
 * Checks one decoded value against the closed set of client commands (P5). The command has only the fields that its type
 * has, at the top level and in its payload (P6a); each of them has its type.
 */
export function validateCommand(value: unknown): CommandValidation {
  if (!isRecord(value)) return { message: 'An envelope must be an object', details: [] };
  const type = ownValue(value, 'type');
  if (typeof type !== 'string' || !isCommandType(type)) {
    return failure(value, 'Unknown type of command', [{ path: 'type', message: 'must be a client command' }]);
  }
  let details: ErrorDetail[] | undefined;
  const report = (detail: ErrorDetail): void => void (details ??= []).push(detail);
  const { top, payload: fields } = COMMAND_SCHEMAS[type];
  const command = checkFields<Record<string, unknown>>(value, top, '', report, { type });
  if (fields !== undefined) {
    // A payload whose fields are all optional may be left out (P5c). Handlers then get an empty one.
    const given = ownValue(value, 'payload');
    const payload = given === undefined ? {} : given;
    if (isRecord(payload)) command['payload'] = checkFields(payload, fields, 'payload', report);
    else report({ path: 'payload', message: 'must be an object' });
  }
  return details === undefined
    ? { command: command as unknown as ClientCommand }
    : failure(value, `Malformed ${type}`, details);
}

function isCommandType(type: string): type is ClientCommandType {
  return Object.hasOwn(COMMAND_SCHEMAS, type);
}

/** The value of an own property: `{"__proto__": …}` must not lend an envelope fields that it does not have. */
function ownValue(record: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function failure(
  value: Record<string, unknown>,
  message: string,
  details: readonly ErrorDetail[],
): CommandValidation {
  const id = ownValue(value, 'id');
  const isId = typeof id === 'string' && id.length >= 1 && id.length <= MAX_ID_LENGTH;
  return omitUndefined({ message, details, ref: isId ? id : undefined });
}
