/**
 * Every field of the profile has its effect: a stick with every default and some with other values are started, and what
 * the rows of `test/fields/` ask gets the one answer there and the other here. Some PCs must not start some of them.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Firmware } from '../../src/arch/architecture.js'
import { type Trial, type TrialOptions, withTrial } from '../../src/lab/trial.js'
import { type Answers, askAll, askImage, keyOf } from '../fields/booted.js'
import { fits, type Row, STICKS, type StickName } from '../fields/row.js'
import { ROWS } from '../fields/rows.js'
import { ENVIRONMENT, isBuilt, layFiles, profileOf, stickOf } from '../fields/sticks.js'
import { type Demo, isEvent, openStick, serialText, waitFor, waitForWords } from '../support/demo.js'
import { needTools } from '../support/tools.js'

/** The firmware of the PC that each stick starts on: one that its own `stick.firmware` names. */
const STARTS_ON: Record<StickName, Firmware> = {
  usual: 'bios',
  changed: 'bios',
  fixed: 'uefi',
  lean: 'secureboot',
  emulated: 'bios',
}

/** What a PC says that does not start a stick. BIOS says nothing where it could be read: there the image is asked. */
const REFUSALS: [StickName, Firmware, RegExp][] = [
  ['changed', 'uefi', /No bootable option|Shell>/],
  ['fixed', 'secureboot', /Access Denied|Security Violation|No bootable option/],
]

const NAMES: StickName[] = (process.env['FIELDS_STICKS']?.split(',') as StickName[]) ?? ['usual', ...STICKS]
const BOOTED = ROWS.filter(isBuilt)

async function open(t: Test, folder: string, name: StickName): Promise<Demo | undefined> {
  const profile = join(folder, `fields-${name}.yaml`)
  await writeFile(profile, JSON.stringify(profileOf(name), null, 1))
  return openStick(t, profile)
}

/** Asks a stick its own rows, and the usual one all. */
async function ask({ image, place: run }: Demo, name: StickName): Promise<Answers> {
  const rows = rowsFor(name)
  const options: TrialOptions = {
    accelerator: 'tcg',
    ssh: true,
    firmware: STARTS_ON[name],
    virtualization: name !== 'emulated',
  }
  const answers = await started(image, options, run, async (trial) => {
    await plugMouse(trial)
    const done = await waitFor(trial, 2400, isEvent('done'))
    if (!done) throw new Error(`${name} is not done: ${(await serialText(trial)).slice(-2000)}`)
    return askAll(trial, [...rows, ...rows.flatMap(otherOf)])
  })
  for (const row of rows.filter(({ where }) => where === 'image'))
    answers.set(keyOf(row), await askImage(image, row.ask))
  return answers
}

let boots = 0

/** As `withTrial`, and it ends when the PC does: what is asked of a PC that is off would only be refused. */
function started<T>(
  image: string,
  options: TrialOptions,
  run: Demo['place'],
  use: (trial: Trial) => Promise<T>,
): Promise<T> {
  boots++
  return withTrial(image, options, run, (trial) =>
    Promise.race([use(trial), trial.ended.then(() => Promise.reject(new Error('the PC is off')))]),
  )
}

/** Where the default has a guest of its own, the stick of the row is asked both. */
const rowsFor = (name: StickName) =>
  BOOTED.filter((row) => (name === 'usual' ? !row.otherAsk : stickOf(row) === name))

const otherOf = ({ where, otherAsk }: Row) => (otherAsk ? [{ where, ask: otherAsk }] : [])

/** A USB device, 0627:0001, that one guest asks for. */
async function plugMouse(trial: Trial): Promise<void> {
  const said = await trial.monitor('device_add usb-mouse')
  if (said.trim() !== '') throw new Error(said)
}

const failed: string[] = []

function check(t: Test, row: Row, kind: string, answer: string | undefined, wanted: string | RegExp): void {
  const name = `${row.field} is ${JSON.stringify(row.value).slice(0, 40)}, asked ${row.where}: ${kind}`
  if (
    !t.ok(answer !== undefined && fits(answer, wanted), name, { answer, wanted: `${wanted}`, ask: row.ask })
  )
    failed.push(`${name} is ${JSON.stringify(answer)}`)
}

if (needTools(t, 'qemu-img', 'mkfs.vfat', 'mcopy')) {
  Object.assign(process.env, ENVIRONMENT)
  const folder = join(process.cwd(), 'out/test/fields')
  await mkdir(folder, { recursive: true })
  await layFiles(folder)
  const sticks = new Map<StickName, Demo>()
  for (const name of NAMES) {
    const stick = await open(t, folder, name)
    if (stick) sticks.set(name, stick)
  }
  t.setTimeout(2 * 60 * 60 * 1000)

  for (const [name, stick] of sticks) {
    await t.test(`the stick ${name} starts and is asked`, async (t) => {
      const began = Date.now()
      const answers = await ask(stick, name).catch((error: Error) => {
        t.fail(error.message)
        return new Map<string, string>()
      })
      console.error(`# ${name}: asked in ${Math.round((Date.now() - began) / 1000)} s`)
      for (const row of rowsFor(name)) {
        const answer = answers.get(keyOf(row))
        if (name === 'usual') check(t, row, 'the answer of the default', answer, row.other)
        else check(t, row, 'its answer', answer, row.expected)
        for (const other of otherOf(row))
          check(t, row, 'the answer of the default', answers.get(keyOf(other)), row.other)
      }
    })
  }

  for (const [name, firmware, words] of REFUSALS) {
    const stick = sticks.get(name)
    if (!stick) continue
    await t.test(`the stick ${name} does not start under ${firmware}`, (t) => {
      boots++
      return withTrial(stick.image, { accelerator: 'tcg', firmware }, stick.place, async (trial) => {
        const refused = await waitForWords(trial, 300, words)
        if (!t.ok(refused, 'the firmware says so'))
          failed.push(`stick.firmware: ${name} starts under ${firmware}`)
        t.notOk(trial.events.some(isEvent('host')), 'and the host is not there')
      })
    })
  }

  for (const line of failed) console.error(`# failed: ${line}`)
  console.error(
    `# ${BOOTED.length} rows asked in ${boots} boots, ${failed.length} answers are not what they should be`,
  )
}
