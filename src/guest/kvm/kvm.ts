/**
 * KVM, by QEMU and libvirt; where a PC has no KVM, QEMU emulates.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 */
import type { Architecture } from '../../arch/architecture.js'
import type { Hypervisor } from '../hypervisor.js'
import { domainPaths } from '../paths.js'
import { adaptDomain, domainXml, sameDomain } from './domain.js'
import { hardwareOf } from './process.js'

export function kvm(architecture: Architecture): Hypervisor {
  const { program } = architecture.qemu
  return {
    processes: '/usr/bin/qemu-system-',
    complaint: new RegExp(`${program}: |ERROR:`),
    domainXml: (guest, sized, paths = domainPaths(guest)) => domainXml(guest, sized, paths, architecture),
    adaptDomain,
    sameDomain,
    hardwareOf,
  }
}
