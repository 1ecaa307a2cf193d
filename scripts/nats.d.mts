export declare const NATS_REMEDY: string;
export declare function findNats(env?: NodeJS.ProcessEnv): string | undefined;
