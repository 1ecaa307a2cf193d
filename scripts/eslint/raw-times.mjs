// Times in tests that somebody chose for one machine, and chance that no seed repeats. Selectors of `no-restricted-syntax`, for test/**/*.ts.

const LIMIT =
  'A bare number is a limit for one machine: write patience(ms), from test/support/patience.ts, or leave it out where the default is enough.';
const WAIT =
  'A pause is no condition: wait with until(), for a round trip or for a later event. Where the clock of another process must go on, write elapse(ms), from test/support/patience.ts.';
const SPEED =
  'A bound in real time depends on the machine: count, use a ManualClock, or write stretched(ms), from test/support/patience.ts.';
const CHANCE =
  'What Math.random gave cannot be repeated: a test that it fails once in a while is found by nobody. Take SeededEntropy, seededRandom or test/support/property.ts; what must differ between processes, such as a port, takes randomInt of node:crypto.';

/** A number, or arithmetic of numbers alone: `60 * 1000`. */
const NUMBER = ':matches(Literal[raw=/^[0-9]/], BinaryExpression:not(:has(Identifier)))';
const TESTS = '/^(it|test|fit|beforeAll|beforeEach|afterAll|afterEach)$/';
const CLOCK = "CallExpression[callee.object.name=/^(performance|Date)$/][callee.property.name='now']";

const limits = [
  `CallExpression[callee.name=${TESTS}] > ${NUMBER}.arguments`,
  `CallExpression[callee.object.name=${TESTS}] > ${NUMBER}.arguments`,
  `CallExpression[callee.callee.object.name=${TESTS}] > ${NUMBER}.arguments`,
  `CallExpression[callee.name='until'][arguments.length=3] > ${NUMBER}.arguments`,
  `CallExpression[callee.property.name=/^(setTimeout|setDefaultTimeout)$/] > ${NUMBER}.arguments`,
  `CallExpression[callee.property.name=/^(open|connect|refused)$/] > ObjectExpression > Property[key.name='timeoutMs'] > ${NUMBER}`,
  `NewExpression[callee.name='WirePeer'] Property[key.name='timeoutMs'] > ${NUMBER}`,
  `CallExpression[callee.object.name='AbortSignal'][callee.property.name='timeout'] > ${NUMBER}.arguments`,
  `CallExpression[callee.name=/^(spawn|exec|fork)/] Property[key.name='timeout'] > ${NUMBER}`,
  `CallExpression[callee.property.name=/^(waitFor|launch|goto|click|fill)/] Property[key.name='timeout'] > ${NUMBER}`,
  `VariableDeclarator[id.name=/(TIMEOUT|DEADLINE)_MS$|PATIENCE/] > ${NUMBER}.init`,
  `BinaryExpression[operator='+']:has(> ${CLOCK}) > ${NUMBER}`,
];
const EXECUTOR =
  "NewExpression[callee.name='Promise'] > :matches(ArrowFunctionExpression, FunctionExpression)";
const PAUSE = "CallExpression[callee.name='setTimeout']";
/** `timers/promises`: the selectors know no escaped slash. */
const TIMERS = '[source.value=/^(node:)?timers.promises$/]';
const waits = [
  `${EXECUTOR} > ${PAUSE}.body`,
  `${EXECUTOR} > UnaryExpression.body > ${PAUSE}`,
  // Beside other statements it may be the time-out of what they begin; a pause hands `resolve` itself to the timer.
  `:matches(${EXECUTOR} > BlockStatement[body.length=1] > ExpressionStatement > ${PAUSE}, ${EXECUTOR} > BlockStatement > ExpressionStatement > ${PAUSE}[arguments.0.type='Identifier'])`,
  `ImportDeclaration${TIMERS}`,
  `ImportExpression${TIMERS}`,
];
const speeds = [`CallExpression[callee.property.name=/^toBeLess/]:has(${CLOCK}) > ${NUMBER}.arguments`];

export const RAW_TIMES = [
  ...limits.map((selector) => ({ selector, message: LIMIT })),
  ...waits.map((selector) => ({ selector, message: WAIT })),
  ...speeds.map((selector) => ({ selector, message: SPEED })),
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: CHANCE },
];
