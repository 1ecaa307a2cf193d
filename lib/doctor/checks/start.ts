import { RealtimeBootError } from '../../nest/errors/realtime-boot-error.js';
import { check, type Check, type Verdict } from '../check.js';
import { list } from '../words.js';

/** The module was not found in the application. */
export class ModuleAbsent extends Error {}

/** Whether the application starts; everything else needs it. */
export const boot = check({
  id: 'boot',
  title: 'Start',
  asks: 'Does the module start with these options and channels?',
  see: 'guide.md#declare-a-channel',
  clients: false,
  outcomes: {
    boots: { level: 'ok', finding: 'The options are valid. Channels: {channels}.' },
    empty: {
      level: 'warning',
      finding: 'No class with @Channel() was found, so clients can subscribe to nothing.',
      remedy: 'List the channel classes in the providers of a module.',
    },
    refused: { level: 'error', finding: '{path}: {problem}', remedy: '{remedy}' },
    failed: {
      level: 'error',
      finding: 'The application does not start: {message}',
      remedy:
        'Run the doctor with the environment that the application has in production, and correct what the message names.',
    },
    absent: {
      level: 'error',
      finding: 'The application does not use RealtimeModule.forRoot() of this copy of the package.',
      remedy: 'Give the root module of the application, and install the package once.',
    },
  },
  judge: ({ channels, attaches }) =>
    channels.length === 0 && attaches
      ? [{ outcome: 'empty' }]
      : [
          {
            outcome: 'boots',
            values: { channels: list(channels.map(({ definition }) => definition.pattern)) || 'none' },
          },
        ],
});

/** Where the documents explain what is wrong at a path; else as the check says, which is for classes of channels. */
export const BOOT_POINTERS: readonly (readonly [of: RegExp, see: string])[] = [
  [/^RealtimeAdminModule\b/, 'admin-api.md#mount-it'],
  [/^RealtimeMetricsModule\b/, 'metrics.md#add-the-metrics'],
  [/^RealtimeHealthModule\b/, 'guide.md#report-health-and-shut-down'],
  [/^webhookTarget\b/, 'hooks.md#webhooks'],
  [/^redisBroker\b/, 'scaling.md#connect-to-redis'],
  [/^[a-z]/, 'options.md#options-of-the-module'],
];

/** Why an application did not start. */
export function bootVerdicts(error: unknown): readonly Verdict[] {
  if (error instanceof ModuleAbsent) return [{ outcome: 'absent' }];
  if (error instanceof RealtimeBootError)
    return error.problems.map(({ path, problem, remedy }): Verdict => {
      const see = BOOT_POINTERS.find(([of]) => of.test(path))?.[1];
      return { outcome: 'refused', ...(see === undefined ? {} : { see }), values: { path, problem, remedy } };
    });
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return [{ outcome: 'failed', values: { message } }];
}

export const START: readonly Check[] = [boot];
