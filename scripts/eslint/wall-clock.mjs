// Where lib may read the wall clock. It is set forth and back, so nothing may be computed from it: no duration, no age, no
// end of a wait. Selectors of `no-restricted-syntax`, for lib/**/*.ts. What they allow is a timestamp that goes out as it is:
// a property `ts` or `serverTime`, a variable `ts`, or the fields `connectedAt` and `issuedAt`.

const REMEDY =
  'The wall clock jumps: measure with clock.monotonic(). now() is for a timestamp that goes out as it is: `ts`, `serverTime`, `connectedAt`, `issuedAt`.';
const DATE = 'Date itself is read in the files of the clocks alone: take a Clock.';

const NAMES = '/^(ts|serverTime|connectedAt|issuedAt)$/';
const NOW = "CallExpression[callee.property.name='now']:not([callee.object.name='performance'])";
const allowed = [
  `Property[key.name=${NAMES}] > ${NOW}`,
  `VariableDeclarator[id.name='ts'] > ${NOW}`,
  `AssignmentExpression[left.property.name=${NAMES}] > ${NOW}`,
];

/** `now` as a method that is handed on or taken apart would escape the rule. */
const escapes = [
  "MemberExpression[property.name='now']:not([object.name='performance']):not(CallExpression > MemberExpression.callee)",
  "MemberExpression[computed=true] > Literal[value='now']",
  "ObjectPattern > Property[key.name='now']",
];

export const WALL_CLOCK = [
  { selector: `${NOW}:not(${allowed.join(', ')})`, message: REMEDY },
  ...escapes.map((selector) => ({ selector, message: REMEDY })),
  {
    selector: "BinaryExpression > :matches(Identifier[name='ts'], MemberExpression[property.name='ts'])",
    message: REMEDY,
  },
  { selector: "NewExpression[callee.name='Date']", message: DATE },
];
