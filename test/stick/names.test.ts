/**
 * Names that the host's packages know, and what others were probably meant as: always one that is there.
 */
import t from 'tap'
import * as lists from '../../src/stick/names.gen.js'
import {
  GROUPS,
  isLatin,
  isLayout,
  isLocale,
  isMachine,
  isZone,
  layoutsMeant,
  layoutWith,
  localesMeant,
  machinesMeant,
  USERS,
  variantsMeant,
  variantsOf,
  zonesMeant,
} from '../../src/stick/names.js'

const words = (text: string) => text.trim().split(/\s+/)

t.test('time zones', async (t) => {
  for (const zone of ['UTC', 'Europe/Paris', 'Asia/Kolkata', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5']) {
    t.ok(isZone(zone), zone)
  }
  for (const [name, meant] of [
    ['US/Pacific', 'America/Los_Angeles'],
    ['us/pacific', 'America/Los_Angeles'],
    ['Japan', 'Asia/Tokyo'],
    ['GB', 'Europe/London'],
    ['EST5EDT', 'America/New_York'],
    ['Asia/Calcutta', 'Asia/Kolkata'],
    ['Europe/Kiev', 'Europe/Kyiv'],
    ['Europe/Pariss', 'Europe/Paris'],
    ['europe/paris', 'Europe/Paris'],
    ['Berlin', 'Europe/Berlin'],
    ['America/Berlin', 'Europe/Berlin'],
    ['los_angeles', 'America/Los_Angeles'],
    ['right/Europe/Paris', 'Europe/Paris'],
    ['US/Pacfic', 'America/Los_Angeles'],
  ] as const) {
    t.notOk(isZone(name), name)
    t.strictSame(zonesMeant(name), [meant])
  }
  // Etc/GMT+1 is west of Greenwich.
  for (const name of ['GMT+1', 'UTC+2', '+01:00', 'Atlantis/Deep']) {
    t.notOk(isZone(name))
    t.strictSame(zonesMeant(name), [])
  }
  const old = words(lists.OLD_ZONES).map((pair) => pair.split('=') as [string, string])
  t.ok(old.length > 100)
  t.strictSame(
    old.filter(([name, zone]) => isZone(name) || !isZone(zone)),
    [],
    'an older name is not on the stick, and its zone is',
  )
})

t.test('keyboard layouts', async (t) => {
  for (const layout of ['us', 'de', 'gb', 'jp', 'latam', 'brai']) t.ok(isLayout(layout), layout)
  t.notOk(isLayout('custom'), 'it has no symbols')
  for (const [name, ...meant] of [
    ['uk', 'gb', 'ua'],
    ['en', 'us', 'gb'],
    ['US', 'us'],
    ['GB', 'gb'],
    ['ja', 'jp'],
    ['cs', 'cz'],
    ['sv', 'se'],
    ['da', 'dk'],
    ['el', 'gr'],
    ['he', 'il'],
    ['ko', 'kr'],
    ['sr', 'rs'],
    ['zh', 'cn'],
    ['German', 'de'],
    ['french', 'fr'],
    ['de-latin1', 'de'],
    ['fr_CH', 'fr'],
    ['xx'],
  ] as const) {
    t.notOk(isLayout(name), name)
    t.strictSame(layoutsMeant(name), meant, name)
  }
  const languages = words(lists.LANGUAGES).map((pair) => pair.split('=')[1] as string)
  t.strictSame(
    languages.filter((layout) => !isLayout(layout)),
    [],
  )
})

t.test('keyboard variants', async (t) => {
  t.ok(variantsOf('de').includes('nodeadkeys'))
  t.ok(variantsOf('us').includes('dvorak'))
  t.notOk(variantsOf('fr').includes('neo'), 'each layout has its own')
  t.equal(layoutWith('dvorak'), 'us')
  t.equal(layoutWith('bepo'), 'fr')
  t.equal(layoutWith('de'), undefined)
  t.strictSame(variantsMeant('de', 'NoDeadKeys'), ['nodeadkeys'])
  t.strictSame(variantsMeant('us', 'dvorac'), ['dvorak'])
  t.strictSame(variantsMeant('et', 'dvorak'), [], 'a layout without any')
})

t.test('layouts with Latin letters, and others', async (t) => {
  for (const [layout, variant] of [
    ['us', ''],
    ['de', 'T3'],
    ['fr', ''],
    ['cz', ''],
    ['tr', 'f'],
    ['jp', ''],
    ['rs', 'latin'],
    ['by', 'latin'],
  ] as const) {
    t.ok(isLatin(layout, variant), `${layout} ${variant}`)
  }
  for (const [layout, variant] of [
    ['ru', ''],
    ['ru', 'phonetic'],
    ['gr', ''],
    ['il', ''],
    ['ua', ''],
    ['rs', ''],
    ['jp', 'kana'],
  ] as const) {
    t.notOk(isLatin(layout, variant), `${layout} ${variant}`)
  }
  const known = words(lists.NOT_LATIN).map((word) => /^(\w+)(?:\((.+)\))?$/.exec(word)?.slice(1) ?? [])
  t.strictSame(
    known.filter(
      ([layout = '', variant]) => !isLayout(layout) || (variant && !variantsOf(layout).includes(variant)),
    ),
    [],
  )
})

t.test('locales', async (t) => {
  for (const locale of ['C.UTF-8', 'de_DE.UTF-8', 'de_DE.UTF-8@euro', 'sr_RS.UTF-8@latin', 'eo.UTF-8']) {
    t.ok(isLocale(locale), locale)
  }
  for (const [name, ...meant] of [
    ['de_XX.UTF-8', 'de_DE.UTF-8'],
    ['de_DE', 'de_DE.UTF-8'],
    ['de_DE.utf8', 'de_DE.UTF-8'],
    ['de_de.utf-8', 'de_DE.UTF-8'],
    ['de-DE', 'de_DE.UTF-8'],
    ['de', 'de_DE.UTF-8'],
    ['de_AT@euro', 'de_AT.UTF-8@euro'],
    ['de_CH@euro', 'de_CH.UTF-8'],
    ['de_DE.ISO-8859-1', 'de_DE.UTF-8'],
    ['en', 'en_US.UTF-8'],
    ['en_UK.UTF-8', 'en_GB.UTF-8'],
    ['ja', 'ja_JP.UTF-8'],
    ['C', 'C.UTF-8'],
    ['POSIX', 'C.UTF-8'],
    ['C.utf8', 'C.UTF-8'],
    ['eo', 'eo.UTF-8'],
    ['german'],
  ] as const) {
    t.notOk(isLocale(name), name)
    t.strictSame(localesMeant(name), meant, name)
  }
})

t.test('machine types', async (t) => {
  for (const machine of ['pc-q35-10.0', 'pc-q35-2.4', 'pc-q35-4.0.1', 'pc-i440fx-2.12'])
    t.ok(isMachine(machine))
  for (const [name, meant] of [
    ['pc-q35-7.5', 'pc-q35-7.2'],
    ['pc-q35-10.1', 'pc-q35-10.0'],
    ['pc-q35-11.0', 'pc-q35-10.0'],
    ['pc-q35-4.0.2', 'pc-q35-4.0.1'],
    ['pc-i440fx-2.1', 'pc-i440fx-2.4'],
    ['pc-i440fx-2.13', 'pc-i440fx-2.12'],
  ] as const) {
    t.notOk(isMachine(name), name)
    t.strictSame(machinesMeant(name), [meant])
  }
})

t.test('accounts of every host', async (t) => {
  for (const user of ['root', 'sshd', 'libvirt-qemu', 'tss', 'dnsmasq']) t.ok(USERS.has(user), user)
  for (const group of ['operator', 'kvm', 'sudo', 'libvirt', 'netdev']) t.ok(GROUPS.has(group), group)
  t.notOk(USERS.has('admin') || GROUPS.has('admin'), 'the default admin is free')
  t.notOk(USERS.has('operator'), 'only a group')
})
