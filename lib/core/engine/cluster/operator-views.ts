import type { Hub } from '../../hub/hub.js';
import type { Clock } from '../../ports/clock.js';
import type { SessionRegistry } from '../../session/registry.js';
import { BusiestOfCluster } from './busiest-channels.js';
import { ClusterChannels } from './cluster-channels.js';
import { ClusterReadings } from './cluster-readings.js';
import { LocalChannels } from './local-channels.js';
import type { LocalSessions } from './local-sessions.js';
import type { NodeQuestions } from './node-questions.js';
import { DetailsOfSessions } from './session-details.js';

/** What operators look at, over all nodes. */
export interface OperatorViews {
  readonly channels: ClusterChannels;
  readonly busiest: BusiestOfCluster;
  readonly sessionDetails: DetailsOfSessions;
  readonly readings: ClusterReadings;
}

export function operatorViews(deps: {
  readonly questions: NodeQuestions;
  readonly hub: Pick<Hub, 'channels'>;
  readonly sessions: Pick<SessionRegistry, 'find'>;
  readonly localSessions: Pick<LocalSessions, 'describe'>;
  readonly clock: Pick<Clock, 'monotonic'>;
}): OperatorViews {
  const { questions, hub, sessions, localSessions, clock } = deps;
  const local = new LocalChannels(hub, clock);
  return {
    channels: new ClusterChannels(questions, local),
    busiest: new BusiestOfCluster(questions, local),
    sessionDetails: new DetailsOfSessions(questions, sessions, localSessions),
    readings: new ClusterReadings(questions),
  };
}
