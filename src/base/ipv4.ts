/**
 * IPv4 subnets, as `192.0.2.0/24`; an address alone is a subnet of one (RFC 4632, section 3.1).
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 */

/** Whether two subnets have an address in common: one of them then holds the other. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [parse(one), parse(other)]
  const bits = Math.min(a.prefix, b.prefix)
  return Math.floor(a.address / 2 ** (32 - bits)) === Math.floor(b.address / 2 ** (32 - bits))
}

function parse(subnet: string): { address: number; prefix: number } {
  const [address = '', prefix = '32'] = subnet.split('/')
  return {
    address: address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0),
    prefix: Number(prefix),
  }
}
