import { isIP } from 'node:net';
import * as ipaddrModule from 'ipaddr.js';

type Ipaddr = typeof ipaddrModule;
type Address = ReturnType<Ipaddr['parse']>;
type IPv6 = InstanceType<Ipaddr['IPv6']>;

// A test runner that turns this package into CommonJS has the functions on the module itself.
const ipaddr = (ipaddrModule as Partial<Record<'default', Ipaddr>>).default ?? ipaddrModule;

/** The prefix of the addresses that stand for IPv4 clients of a translator (RFC 6052 §2.1), in the terms of `ipaddr.js`. */
const TRANSLATED_IPV4 = 'rfc6052';
const IPV6_BITS = 128;

/** What the log says where limits of an address are exceeded. */
export const BEHIND_PROXY =
  'Behind a proxy, set trustProxy: without it all clients have the address of the proxy';

/** What stands for the address of a client that has none, as behind a Unix socket. */
export const UNKNOWN_ADDRESS = 'unknown';

/**
 * The one spelling of an address: everything that compares, counts or logs addresses takes it from here, as a client with two
 * spellings would have two limits, and none of its bans. IPv6 is as RFC 5952 has it, an IPv4-mapped address is that of IPv4, and
 * the zone, which only names an interface of this machine, is left out. `undefined` for what is no address: `127.1` and other
 * forms that are an address to some programs only are none.
 *
 * @example canonicalAddress('2001:DB8:0:0:0:0:0:1') // '2001:db8::1'
 */
export function canonicalAddress(text: string): string | undefined {
  return isIP(text) === 4 ? text : parse(text)?.toString();
}

/**
 * Whom limits and bans of an address concern: an IPv4 address, or all IPv6 addresses with the same first bits, as whoever has one
 * address of a network can use all of them.
 *
 * @param prefix bits of IPv6 that are compared, 1 to 128.
 * @example clientNetwork('2001:db8:1:2:3::4', 64) // '2001:db8:1:2::/64'
 */
export function clientNetwork(address: string, prefix: number): string {
  const parsed = isIP(address) === 6 ? parse(address) : undefined;
  if (parsed === undefined) return address;
  const text = parsed.toString();
  if (parsed.kind() === 'ipv4' || prefix >= IPV6_BITS || parsed.range() === TRANSLATED_IPV4) return text;
  const parts = (parsed as IPv6).parts.map((part, index) => part & maskOf(prefix - 16 * index));
  return `${new ipaddr.IPv6(parts).toString()}/${prefix}`;
}

/**
 * Compiles a list of addresses and networks, in any spelling. The result takes addresses as {@link canonicalAddress} spells them.
 *
 * @throws TypeError for an empty list, and for what is neither.
 * @example compileNetworks(['10.0.0.0/8', 'fd00::/8'])('10.1.2.3') // true
 */
export function compileNetworks(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) throw new TypeError('the list of networks is empty. Leave it out, or name one.');
  const known = networks.map(networkOf);
  return (address) => {
    const parsed = parse(address);
    if (parsed === undefined) return false;
    return known.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits));
  };
}

function networkOf(text: string): [Address, number] {
  const [, address = text, bits] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  const width = version === 4 ? 32 : IPV6_BITS;
  const prefix = bits === undefined ? width : Number(bits);
  const parsed = parse(address);
  if (parsed === undefined || prefix > width) {
    throw new TypeError(
      `${JSON.stringify(text)} is neither an address nor a network. Write e.g. "10.0.0.7", "10.0.0.0/8" or "fd00::/8".`,
    );
  }
  // A network of IPv4-mapped addresses.
  return [parsed, version === 6 && parsed.kind() === 'ipv4' ? Math.max(0, prefix - 96) : prefix];
}

/** `undefined` for what is no address. Never throws: the text comes from clients. */
function parse(text: string): Address | undefined {
  if (isIP(text) === 0) return undefined;
  // Node takes zones that `ipaddr.js` does not, such as `eth0.100`.
  const [address = ''] = text.split('%', 1);
  try {
    return ipaddr.process(address);
  } catch {
    return undefined;
  }
}

/** The first bits of a part of sixteen. */
function maskOf(bits: number): number {
  return bits >= 16 ? 0xffff : bits <= 0 ? 0 : (0xffff << (16 - bits)) & 0xffff;
}
