import { parseArgs } from 'node:util';
import type { Duration } from '../nest/options/duration.js';
import { diagnose, type DoctorOptions } from './diagnose.js';
import { loadTarget, UsageError } from './load.js';
import { tableOf } from './table.js';

const USAGE = `Usage: nestjs-realtime doctor <file>[#export] [options]

Looks at an application as it would run, without starting it, and answers a
check-list for production: docs/doctor.md.

  <file>                the compiled root module, such as dist/app.module.js;
                        behind # the export that is meant: a module, an
                        application, or a function that makes one of them
  --accept <id>=<why>   a finding that is right for this application, and the
                        reason; may be repeated
  --grace <time>        between SIGTERM and SIGKILL (default 30s)
  --strict              warnings fail too
  --offline             do not ask the broker about its storage
  --timeout <time>      for the answer of the broker (default 5s)
  --json                for programs
  --help                this text

Exit code: 0 fit for production, 1 not fit, 2 the command cannot be carried out.
`;

/** The process around the command. */
export interface Terminal {
  readonly cwd: string;
  readonly width: number;
  readonly colours: boolean;
}

/** What the command prints, and the code that it exits with. */
export interface CommandResult {
  readonly code: 0 | 1 | 2;
  readonly output: string;
  readonly error: string;
}

/** Runs `nestjs-realtime …`. Never rejects for what was typed. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<CommandResult> {
  try {
    return await run(args, terminal);
  } catch (error) {
    // Of the options: diagnose() throws a RangeError, parseArgs() a TypeError with a code.
    const isTyped =
      error instanceof UsageError ||
      error instanceof RangeError ||
      String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
    if (!isTyped) throw error;
    return { code: 2, output: '', error: `${(error as Error).message}\n` };
  }
}

async function run(args: readonly string[], { cwd, width, colours }: Terminal): Promise<CommandResult> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      accept: { type: 'string', multiple: true },
      grace: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      offline: { type: 'boolean' },
      strict: { type: 'boolean' },
      timeout: { type: 'string' },
    },
  });
  if (values.help === true) return { code: 0, output: USAGE, error: '' };
  const [command, file, ...others] = positionals;
  if (command !== 'doctor' || file === undefined || others.length > 0)
    return { code: 2, output: '', error: USAGE };
  const options: DoctorOptions = {
    accept: acceptedBy(values.accept ?? []),
    strict: values.strict ?? false,
    offline: values.offline ?? false,
    ...(values.grace === undefined ? {} : { grace: values.grace as Duration }),
    ...(values.timeout === undefined ? {} : { timeout: values.timeout as Duration }),
  };
  const report = await diagnose(await loadTarget(file, cwd), options);
  const output =
    values.json === true
      ? `${JSON.stringify({ file, ...report }, null, 2)}\n`
      : tableOf(report, file, { width, colours });
  return { code: report.passed ? 0 : 1, output, error: '' };
}

/** @throws UsageError */
function acceptedBy(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 0) throw new UsageError(`--accept ${text}: write the reason behind it, --accept ${text}="…".`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
