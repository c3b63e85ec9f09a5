/**
 * A guest's definition: how its libvirt domain on the stick follows the library, and when it does not.
 *
 * A domain that nobody edited is replaced when the library's definition is another one. One that somebody edited stays,
 * is fitted to the PC only, and its guest's note says so. To tell the two apart, what libvirt printed of a domain when
 * we had defined it is kept. A libvirt of another version may print the same domain otherwise, and a stick may be pulled
 * before that was kept: such a domain counts as edited, too. Never the other way round.
 */

import type { LibraryGuest } from '../guest/definition.js'
import { definitionOf } from '../guest/metadata.js'
import { domainPaths } from '../guest/paths.js'
import type { Sized } from '../guest/sizing.js'
import { hypervisorOf } from './facts.js'
import { settle, virsh } from './guest.js'
import { type Machine, must } from './machine.js'

/** A folder for root alone, since a domain may hold the password of a screen. */
interface DefinitionPaths {
  folder: string
  /** What libvirt is given. */
  wanted: string
  /** What libvirt printed when it had taken a definition of the library. */
  defined: string
  /** The library's definition, where the domain is kept. */
  unused: string
}

function definitionPaths(guest: LibraryGuest): DefinitionPaths {
  const folder = `${domainPaths(guest).folder}/definition`
  return {
    folder,
    wanted: `${folder}/wanted.xml`,
    defined: `${folder}/defined.xml`,
    unused: `${folder}/new.xml`,
  }
}

/**
 * Defines the guest's domain, or fits the one that is there to this PC.
 *
 * @returns what a person should know of it; else empty
 */
export function defineDomain(machine: Machine, guest: LibraryGuest, sized: Sized): string {
  const { adaptDomain, domainXml } = hypervisorOf(machine)
  const paths = definitionPaths(guest)
  must(machine, ['mkdir', '-p', '-m', '0700', paths.folder])
  const existing = readDomain(machine, guest.name)
  const isCurrent = existing !== undefined && definitionOf(existing) === guest.definition
  if (existing !== undefined && (isCurrent || isEdited(machine, paths, existing))) {
    const adapted = adaptDomain(existing, sized)
    if (adapted !== existing) define(machine, paths, adapted)
    return isCurrent ? forget(machine, paths) : keep(machine, paths, domainXml(guest, sized))
  }
  define(machine, paths, domainXml(guest, sized))
  publish(machine, paths.defined, readDomain(machine, guest.name) ?? '')
  return forget(machine, paths)
}

/** Whether the domain is another than the one that we defined last, in anything that a boot does not adapt. */
function isEdited(machine: Machine, paths: DefinitionPaths, existing: string): boolean {
  const defined = machine.readFile(paths.defined)
  return !defined || !hypervisorOf(machine).sameDomain(defined, existing)
}

function define(machine: Machine, paths: DefinitionPaths, xml: string): void {
  machine.writeFile(paths.wanted, xml)
  must(machine, virsh('define', paths.wanted))
}

function keep(machine: Machine, paths: DefinitionPaths, xml: string): string {
  if (machine.readFile(paths.unused) !== xml) publish(machine, paths.unused, xml)
  return `you edited this domain, so it was kept; the new definition is in ${paths.unused}`
}

/** A definition that was kept beside the domain is so no more. */
function forget(machine: Machine, paths: DefinitionPaths): string {
  if (machine.exists(paths.unused)) must(machine, ['rm', '-f', paths.unused])
  return ''
}

function publish(machine: Machine, path: string, text: string): void {
  machine.writeFile(`${path}.new`, text)
  settle(machine, `${path}.new`, path)
}

/**
 * The domain as it is defined, passwords included: without them, defining it again would take them away. Undefined only
 * when libvirt says that there is none: a domain that a user changed must not be replaced.
 */
function readDomain(machine: Machine, name: string): string | undefined {
  const argv = virsh('dumpxml', '--inactive', '--security-info', name)
  const { code, stdout, stderr } = machine.run(argv)
  if (code === 0) return stdout
  if (stderr.includes('failed to get domain')) return undefined
  throw new Error(`libvirt does not answer: ${stderr.trim()}`)
}
