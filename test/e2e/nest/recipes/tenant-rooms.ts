import { Authorize, Channel, ChannelParam, RealtimeUser } from 'nestjs-realtime';

// recipe: channels of tenants
@Channel('tenants.:tenant.rooms.:room')
export class TenantRooms {
  @Authorize('subscribe', 'history')
  ownTenant(@RealtimeUser('tenant') own: string, @ChannelParam('tenant') tenant: string) {
    return own === tenant; // then whatever decides within a tenant
  }
}
// end
