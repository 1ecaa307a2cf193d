/** Makes the error of an option: its path, and what is wrong with it or what to give. */
export type OptionError = (path: string, problem: string) => RangeError;

/** @param caller the function that the application called; its name begins the texts. */
export function optionErrorOf(caller: string): OptionError {
  return (path, problem) => new RangeError(`${caller}: \`${path}\` ${problem}.`);
}
