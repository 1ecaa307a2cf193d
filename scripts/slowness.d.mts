export function slowness(env?: NodeJS.ProcessEnv): number;
export function patience(ms: number): number;
export function measureSlowness(): Promise<number>;
export function slownessOf(ms: number): number;
