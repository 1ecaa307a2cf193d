import type { PresenceMember } from '../../protocol/messages.js';
import type { ChannelListeners } from './listeners.js';

/** Tells what single members did, from one list of the members to the next, however the lists came about. */
export class MemberChanges {
  private last: readonly PresenceMember[] | undefined;

  constructor(private readonly listeners: Pick<ChannelListeners, 'watchesMembers' | 'member'>) {}

  /** Nothing is known any more: who is in the next list did not join. */
  forget(): void {
    this.last = undefined;
  }

  follow(members: readonly PresenceMember[]): void {
    const { last, listeners } = this;
    this.last = members;
    if (last === undefined || !listeners.watchesMembers) return;
    const before = byId(last);
    for (const member of members) {
      const was = before.get(member.id);
      before.delete(member.id);
      if (was === undefined) listeners.member('join', member);
      else if (was !== member && !isSame(was, member)) listeners.member('update', member);
    }
    for (const gone of before.values()) listeners.member('leave', gone);
  }
}

function byId(members: readonly PresenceMember[]): Map<string, PresenceMember> {
  return new Map(members.map((member) => [member.id, member]));
}

/** Members that were read again are new objects. */
function isSame(one: PresenceMember, other: PresenceMember): boolean {
  return one.devices === other.devices && JSON.stringify(one.data) === JSON.stringify(other.data);
}
