export declare const CANARY: string;
export declare const CANARY_FOLDER: string;
export declare function findSecrets(text: string): string[];
export declare class OutputScan {
  findings: string[];
  write(piece: string): void;
  end(): string[];
}
export declare function runScanned(
  program: string,
  args: readonly string[],
  options?: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly write?: (name: 'stdout' | 'stderr', piece: string) => void;
  },
): Promise<{ status: number; findings: string[] }>;
export declare function noteSecrets(text: string, folder?: string): void;
export declare function readNotes(folder?: string): string[];
export declare function forgetNotes(folder?: string): void;
export declare function findSecretsInFiles(files: readonly string[]): string[];
