import { BlockList, isIP } from 'node:net';

/**
 * IPv4 that is not the public internet: this network, private, carrier NAT, loopback, link-local, protocol assignments, documentation,
 * 6to4 relays, benchmarks, multicast, reserved and broadcast. source: IANA IPv4 special-purpose registry
 */
const notPublic4 = blockListOf('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Azure's host answers its machines here.
  ['168.63.129.16', 32],
]);

/**
 * What is left of IPv6 is global unicast. Outside lie ::, ::1, v4-mapped and v4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48),
 * discard, fc00::/7, fe80::/10, fec0::/10 and ff00::/8: forms that lead to a private IPv4 address fall with the rest.
 */
const globalUnicast6 = blockListOf('ipv6', [['2000::', 3]]);

/** Protocol assignments with Teredo, benchmarks and ORCHID; documentation; 6to4; the 6bone. source: IANA IPv6 special-purpose registry */
const notPublic6 = blockListOf('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3ffe::', 16],
  ['3fff::', 20],
]);

function blockListOf(family: 'ipv4' | 'ipv6', subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family);
  return list;
}

/** True for an address of the public internet, as text without brackets. Names, zones and malformed addresses are none. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !notPublic4.check(address, 'ipv4');
  if (family !== 6 || address.includes('%')) return false;
  return globalUnicast6.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6');
}
