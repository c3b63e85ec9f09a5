/**
 * A hypervisor: what the stick asks of it. Those that there are: `hypervisors.ts`.
 *
 * Free of `node:` imports: the stick runs this file under qjs. Left out: what libvirt has for all of them (`network-xml.ts`,
 * `metadata.ts`), and what a guest is (`definition.ts`).
 */
import type { LibraryGuest } from './definition.js'
import type { DomainPaths } from './paths.js'
import type { Hardware } from './report.js'
import type { Sized } from './sizing.js'

export interface Hypervisor {
  /** What command lines of guests' processes begin with, those of guests that a user made for another machine too. */
  processes: string
  /** Lines of a guest's log in which that process complains. */
  complaint: RegExp
  /** The libvirt domain of a guest on a PC. `sized` is the guest's own. */
  domainXml(guest: LibraryGuest, sized: Sized, paths?: DomainPaths): string
  /**
   * Fits an existing domain to the PC of the day, and touches nothing else.
   *
   * @param xml what `virsh dumpxml --inactive` prints
   * @throws Error when that is not the form of `xml`
   */
  adaptDomain(xml: string, sized: Sized): string
  /** Whether two printed domains differ at most in what `adaptDomain` changes. Throws as that does. */
  sameDomain(xml: string, other: string): boolean
  /** What a guest's system sees, by the command line of its process (proc_pid_cmdline(5)). */
  hardwareOf(commandLine: string): Hardware
}

/** Seconds that guests have, all together, to shut down with their host. A Windows that installs updates takes minutes. */
export const STOP_WITHIN = 180
