import ipaddr from 'ipaddr.js';

/** A range of IP addresses: its first address, and the number of leading bits that all its addresses share. */
export type AddressRange = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * Contains all public IPv6 addresses. All other IPv6 addresses are local or reserved, or embed an IPv4 address that
 * could be local.
 */
const publicIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Reads addresses and ranges separated by commas, e.g. `127.0.0.1, 10.0.0.0/8`. Throws an Error that says which entry
 * is not valid.
 */
export function parseRanges(text: string): AddressRange[] {
  return text.split(',').map((each) => {
    const entry = each.trim();
    // Accepts only the usual notation. ipaddr.js also accepts 0x7f.1, which few readers would recognise.
    if (ipaddr.IPv4.isValidFourPartDecimal(entry)) return [ipaddr.IPv4.parse(entry), 32];
    if (ipaddr.IPv4.isValidCIDRFourPartDecimal(entry)) return ipaddr.IPv4.parseCIDR(entry);
    if (ipaddr.IPv6.isValid(entry)) return [ipaddr.IPv6.parse(entry), 128];
    if (ipaddr.IPv6.isValidCIDR(entry)) return ipaddr.IPv6.parseCIDR(entry);
    throw new Error(`"${entry}" is neither an IP address nor a range such as 10.0.0.0/8`);
  });
}

/**
 * Returns whether the server may connect to the address, that is, whether it is public or listed in `allowed`.
 * Loopback, private, link-local, shared (carrier-grade NAT), reserved and multicast addresses are not public. Neither
 * are IPv6 addresses that embed an IPv4 address (mapped, NAT64, 6to4, Teredo), even if that IPv4 address is public.
 */
export function mayConnectTo(address: string, allowed: readonly AddressRange[]): boolean {
  const parsed = ipaddr.parse(address);
  if (allowed.some(([first, bits]) => first.kind() === parsed.kind() && parsed.match(first, bits))) return true;
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(...publicIpv6);
}

/** Returns whether the address is a loopback address and therefore on this machine. */
export function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'loopback';
}
