import { isRecord } from '../../protocol/validation/checks.js';
import type { ErrorDetail } from '../../protocol/realtime-error.js';
import { isError } from './exception-body.js';

/** Bounds the findings that are sent: a hostile payload may break a rule in each of thousands of items. */
const MAX_DETAILS = 50;
const MAX_DEPTH = 32;

// Texts of class-validator begin with the property, unless the application replaced them.
const PROPERTY =
  /^(?:each value in |nested property |property )?([A-Za-z_$][\w$]*(?:\.[\w$]+)*) (?:must|should|is|has)\b/;

/**
 * The findings of a validation: class-validator's errors, the messages of Nest's ValidationPipe (list or grouped), or
 * issues with `path` and `message` (Zod, Standard Schema). `undefined` for anything else. An `Error` has findings only where its
 * `issues` have lists as paths, as those of schemas: other texts in it are for the log. They never contain values that
 * the client sent.
 *
 * @param issues what the pipe found, where that is known: `source` may hold its texts without their paths.
 */
export function validationDetails(source: unknown, issues?: unknown): readonly ErrorDetail[] | undefined {
  const details: ErrorDetail[] = [];
  collect(source, details);
  if (details.length === 0) return undefined;
  const sent = details.slice(0, MAX_DETAILS);
  return issues === undefined ? sent : withPaths(sent, issues);
}

/** The texts that a pipe made of its findings, with the paths of the findings. What is no text of a finding stays as it is. */
function withPaths(details: readonly ErrorDetail[], issues: unknown): readonly ErrorDetail[] {
  const found: ErrorDetail[] = [];
  collect(issues, found);
  return details.map((detail) => {
    const index = found.findIndex(({ message }) => message !== '' && detail.message.endsWith(message));
    const [finding] = index < 0 ? [] : found.splice(index, 1);
    if (finding === undefined) return detail;
    // Nest's pipe of schemas writes the path in front of the text.
    const { path, message } = finding;
    return { path, message: detail.message === `${path}: ${message}` ? message : detail.message };
  });
}

function collect(source: unknown, into: ErrorDetail[]): void {
  if (Array.isArray(source)) {
    for (const item of source.slice(0, MAX_DETAILS)) collectItem(item, into);
  } else if (isError(source)) {
    collectIssues(source, into);
  } else if (isRecord(source)) {
    if (Array.isArray(source.message) || isGrouped(source.message)) collect(source.message, into);
    else if (Array.isArray(source.errors)) collect(source.errors, into);
    else if (Array.isArray(source.issues)) collect(source.issues, into);
    else if (isGrouped(source)) {
      for (const [path, messages] of Object.entries(source)) {
        for (const message of messages) into.push({ path, message });
      }
    }
  }
}

/** The findings of the error that a schema throws. */
function collectIssues(error: Error, into: ErrorDetail[]): void {
  const { issues } = error as { readonly issues?: unknown };
  if (!Array.isArray(issues)) return;
  const found = issues.slice(0, MAX_DETAILS);
  for (const issue of found) if (isRecord(issue) && Array.isArray(issue.path)) collectItem(issue, into);
}

function collectItem(item: unknown, into: ErrorDetail[]): void {
  if (isError(item)) return;
  if (typeof item === 'string') into.push({ path: PROPERTY.exec(item)?.[1] ?? '', message: item });
  else if (isValidationError(item)) collectValidationError(item, '', into, 0);
  else if (isRecord(item) && typeof item.message === 'string') {
    into.push({ path: pathOf(item.path), message: item.message });
  }
}

/**
 * The part of class-validator's `ValidationError` that is read; its `target` and `value` hold the payload.
 */
interface ValidationErrorLike {
  readonly property: string;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly unknown[];
}

/** Whether a value looks like class-validator's `ValidationError`, from any copy of the package. */
export function isValidationError(value: unknown): value is ValidationErrorLike {
  return (
    isRecord(value) &&
    typeof value.property === 'string' &&
    (isRecord(value.constraints) || Array.isArray(value.children))
  );
}

function collectValidationError(
  error: ValidationErrorLike,
  parent: string,
  into: ErrorDetail[],
  depth: number,
): void {
  const path = parent === '' ? error.property : `${parent}.${error.property}`;
  for (const message of Object.values(error.constraints ?? {})) into.push({ path, message: String(message) });
  // The client chooses the depth of its payload, and each level repeats the path.
  if (depth >= MAX_DEPTH || into.length >= MAX_DETAILS) return;
  for (const child of error.children ?? []) {
    if (isValidationError(child)) collectValidationError(child, path, into, depth + 1);
  }
}

/** `{ path: [messages] }`, as ValidationPipe's `errorFormat: 'grouped'` gives. */
function isGrouped(value: unknown): value is Record<string, readonly string[]> {
  return (
    isRecord(value) &&
    Object.keys(value).length > 0 &&
    Object.values(value).every(
      (messages) => Array.isArray(messages) && messages.every((text) => typeof text === 'string'),
    )
  );
}

function pathOf(path: unknown): string {
  if (typeof path === 'string') return path;
  if (!Array.isArray(path)) return '';
  // Standard Schema allows segments of the form `{ key }`.
  return path.map((segment: unknown) => String(isRecord(segment) ? segment.key : segment)).join('.');
}
