/**
 * Pictures of a trial that is played: what is taken when, and that nothing of it can fail a boot.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openScreens } from '../../src/lab/screens.js'
import type { Trial } from '../../src/lab/trial.js'
import { black, pngOf, words } from '../support/pictures.js'

/** What QEMU shows before there is a display. */
const NOT_YET = pngOf(80, 25, (x, y) => (words(x, y) ? 99 : 0))
const BLANK = pngOf(80, 25, black)
const picture = (shade: number) => pngOf(80, 25, (x, y) => (words(x, y) ? shade : 0))

/** A trial whose screen the test sets. */
async function played(t: Test, ssh: string[] | null = null) {
  const folder = t.testdir({ report: {}, trial: {} })
  const screen = { png: NOT_YET, shots: 0 }
  const events: object[] = []
  const trial = {
    folder: join(folder, 'trial'),
    ssh,
    events,
    manifest: { guests: [] as object[] },
    async screenshot(path: string) {
      screen.shots++
      await writeFile(path, screen.png)
    },
  } as unknown as Trial
  const report = join(folder, 'report')
  return { trial, screen, events, report, screens: openScreens(report) }
}

const taken = (report: string, file: string) => readFileSync(join(report, file))
const guest = (name: string, more: object = {}) => ({
  event: 'guest',
  name,
  state: 'ready',
  confinement: {},
  ...more,
})

t.test('firmware, GRUB and banner of a boot that goes well', async (t) => {
  const { trial, screen, report, screens } = await played(t)
  screens.watch(trial)
  const looks = async (count: number) => {
    const { shots } = screen
    while (screen.shots < shots + count) await sleep(20)
  }
  await looks(2)
  screen.png = picture(0xaa)
  await looks(2)
  screen.png = picture(1)
  await looks(2)
  screen.png = BLANK
  await looks(2)
  screen.png = picture(2)
  screens.hearLine('BdsDxe: loading Boot0001\r')
  screens.hearLine('\x1b[H\x1b[Jkeyvisor: loading demo\r')
  while (screens.taken().length < 2) await sleep(20)
  screen.png = picture(3)
  screens.hearLine('keyvisor: loading demo\r')
  screens.hearLine('[    7.459924] keyvisor: first boot\r')
  await screens.close(trial, { done: true, good: true })
  t.strictSame(screens.taken(), [
    { name: 'firmware', file: 'firmware.png' },
    { name: 'grub', file: 'grub.png' },
    { name: 'banner', file: 'banner.png' },
  ])
  t.strictSame(screens.missing(), [])
  for (const [index, file] of ['firmware.png', 'grub.png', 'banner.png'].entries())
    t.ok(taken(report, file).equals(picture(index + 1)), file)
})

t.test('pictures stay in the order of the boot, whichever is written first', async (t) => {
  const { trial, screen, report, screens } = await played(t)
  const slow = join(report, 'firmware.png')
  // Writing to it waits for somebody who reads it.
  execFileSync('mkfifo', [slow])
  screens.watch(trial)
  while (screen.shots < 1) await sleep(20)
  screen.png = picture(1)
  const { shots } = screen
  while (screen.shots < shots + 2) await sleep(20)
  screens.hearLine('keyvisor: loading demo\r')
  while (screens.taken().length < 1) await sleep(20)
  t.strictSame(screens.taken(), [{ name: 'grub', file: 'grub.png' }])
  const [png] = await Promise.all([readFile(slow), screens.close(trial, { done: false, good: true })])
  t.ok(png.equals(picture(1)))
  t.strictSame(
    screens.taken().map(({ name }) => name),
    ['firmware', 'grub'],
  )
})

t.test('a screen that is the kernel’s is not taken for the firmware’s', async (t) => {
  const { trial, screen, screens } = await played(t)
  screens.watch(trial)
  while (screen.shots < 1) await sleep(20)
  screens.hearLine('[    7.459924] keyvisor: first boot\r')
  screen.png = picture(1)
  await screens.close(trial, { done: false, good: false })
  t.strictSame(screens.taken(), [{ name: 'failure', file: 'screen.png' }])
  t.match(screens.missing().sort(), [/^firmware: its screen showed nothing/, /^grub: it said nothing/])
})

t.test('a PC without a screen', async (t) => {
  const { screens, trial } = await played(t)
  trial.screenshot = () => Promise.reject(new Error('There is no console to take a screendump from'))
  screens.watch(trial)
  screens.hearLine('keyvisor: loading demo')
  await screens.close(trial, { done: true, good: false })
  t.strictSame(screens.taken(), [])
  const names = screens.missing().map((line) => line.split(':')[0])
  t.strictSame(names.sort(), ['banner', 'failure', 'firmware', 'grub'])
})

t.test('a picture that the disk has no room for is told in words', async (t) => {
  const { screens, trial, screen, report } = await played(t)
  symlinkSync('/dev/full', join(report, 'screen.png'))
  screens.watch(trial)
  screen.png = picture(1)
  await screens.close(trial, { done: false, good: false })
  t.strictSame(screens.taken(), [])
  t.ok(screens.missing().includes('failure: the disk got full'))
})

/** What a stick answers with, whose virsh is a script of ours. */
async function stickWith(t: Test, virsh: string): Promise<string[]> {
  const bin = join(t.testdirName, 'bin')
  await mkdir(bin, { recursive: true })
  writeFileSync(join(bin, 'virsh'), `#!/bin/sh\n${virsh}\n`)
  chmodSync(join(bin, 'virsh'), 0o755)
  return ['env', `PATH=${bin}:/usr/bin:/bin`, 'sh', '-c']
}

t.test("each running guest's own screen, whatever it is called", async (t) => {
  const { trial, events, report, screens } = await played(t)
  const shown = join(report, '..', 'shown.png')
  writeFileSync(shown, picture(7))
  // virsh -q -c URI screenshot NAME FILE
  trial.ssh = await stickWith(
    t,
    `case $5 in
       web | "it's; exit 1") echo saved; cat '${shown}' > "$6" ;;
       odd) echo P6 > "$6" ;;
       *) exit 1 ;;
     esac`,
  )
  events.push(
    { event: 'host' },
    guest('web'),
    guest('off', { confinement: null }),
    guest('spare', { state: 'skipped' }),
    guest('none'),
    guest("it's; exit 1", { state: 'failed' }),
    guest('odd'),
    { event: 'done' },
  )
  screens.watch(trial)
  await screens.close(trial, { done: true, good: true })
  const guests = screens.taken().filter(({ name }) => name.startsWith('guest '))
  t.strictSame(guests, [
    { name: 'guest web', file: 'guest-1.png' },
    { name: "guest it's; exit 1", file: 'guest-3.png' },
  ])
  t.ok(taken(report, 'guest-1.png').equals(picture(7)))
  t.ok(taken(report, 'guest-3.png').equals(picture(7)))
  const missing = screens.missing().filter((line) => line.startsWith('guest '))
  t.strictSame(missing, [
    'guest none: libvirt gave no picture of it',
    'guest odd: what libvirt gave is no PNG',
  ])
})

t.test('the guest that a stick still waits for, when time is up', async (t) => {
  const { trial, events, report, screens } = await played(t)
  const shown = join(report, '..', 'shown.png')
  writeFileSync(shown, picture(7))
  trial.ssh = await stickWith(t, `[ "$5" != last ] && cat '${shown}' > "$6"`)
  const listed = [
    { name: 'web', autostart: 10 },
    { name: 'mute', autostart: 20 },
    { name: 'last', autostart: 30 },
    { name: 'manual', autostart: null },
  ]
  trial.manifest.guests.push(...(listed as unknown as typeof trial.manifest.guests))
  events.push({ event: 'host' }, guest('web'))
  screens.watch(trial)
  await screens.close(trial, { done: false, good: false })
  const taken = screens.taken().map(({ name }) => name)
  t.strictSame(taken.filter((name) => name.startsWith('guest ')).sort(), ['guest mute', 'guest web'])
  t.equal(screens.taken().at(-1)?.name, 'failure', 'and the screen of the PC is the last')
  t.ok(screens.missing().includes('guest last: libvirt gave no picture of it'), 'it was not started yet')
})

t.test('a stick whose host is not up is asked nothing', async (t) => {
  const { trial, screens } = await played(t, ['false'])
  trial.manifest.guests.push({
    name: 'web',
    autostart: 10,
  } as unknown as (typeof trial.manifest.guests)[number])
  screens.watch(trial)
  await screens.close(trial, { done: false, good: false })
  t.notOk(screens.missing().some((line) => line.startsWith('guest ')))
})

t.test('a stick that nobody can log in to', async (t) => {
  for (const ssh of [null, ['false']]) {
    const { trial, events, screens } = await played(t, ssh)
    events.push({ event: 'host' }, guest('a'), guest('b'))
    screens.watch(trial)
    await screens.close(trial, { done: true, good: true })
    const missing = screens.missing().filter((line) => line.startsWith('guest '))
    t.match(missing, ssh ? [/^guest a: false failed/, /^guest b: /] : [/^guest a: nobody can/, /^guest b: /])
  }
})
