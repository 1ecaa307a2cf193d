/** The install lines of README.md. */
export const INSTALL = {
  nest11: 'npm install nestjs-realtime @nestjs/websockets@11 @nestjs/jwt@11',
  nest12: 'npm install nestjs-realtime @nestjs/websockets@12 @nestjs/jwt@12',
  client: 'npm install nestjs-realtime-client',
} as const;

/** The line that jest needs in a CommonJS application on Node below 24.9. */
export const JEST_LINE = '"transformIgnorePatterns": ["/node_modules/(?!nestjs-realtime)"]';
