/** What a broker tells, and nobody wants to know. */
export const silentListener = {
  onEvents() {},
  onSignal() {},
  onPresence() {},
  onControl() {},
  onControlCurrent() {},
  onControlLost() {},
  onState() {},
};
