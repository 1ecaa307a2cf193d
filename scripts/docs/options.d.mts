export interface Section {
  readonly title: string;
  readonly says: string;
  readonly type: string;
  readonly table: object;
}

export const OPTION_FILES: readonly string[];
export function sectionsOf(tables: {
  readonly MODULE_TABLE: object;
  readonly CHANNEL_TABLE: object;
}): Section[];
export function renderOptions(sources: readonly string[], sections: readonly Section[]): string;
