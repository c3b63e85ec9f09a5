/** Questions that need no stick: what is planned from a profile, and what `validate` says of it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Json } from '../../src/base/digests.js'
import { archiveSources } from '../../src/debian/apt.js'
import { archivesOf } from '../../src/lock/fetch.js'
import type { Lock } from '../../src/lock/types.js'
import { packageRequests } from '../../src/plan/packages.js'
import { validateProfile } from '../../src/profile/validate.js'
import type { Profile } from '../../src/yaml/profile.gen.js'

const QUESTIONS: Record<string, (profile: Profile) => string | Promise<string>> = {
  /** Where the suite's packages are chosen from. */
  sources: async ({ host }) => (await archiveSources('trixie', host?.mirror))[0] ?? '',
  /** Where locked packages are looked for, which a lock has found elsewhere. */
  archives: ({ host }) => {
    const lock = { sources: { trixie: ['deb https://found.example/debian trixie main'] } }
    return archivesOf(lock as unknown as Lock, host).join(' ')
  },
  /** Packages of the host for the hardware of PCs. */
  firmware: (profile) => {
    const packages = packageRequests(profile).find(({ set }) => set === 'host')?.packages ?? []
    return packages.filter((name) => /^firmware-|-microcode$/.test(name)).join(' ')
  },
}

export async function askPlan(profile: Json, ask: string): Promise<string> {
  const question = QUESTIONS[ask]
  if (!question) throw new Error(`there is no question ${ask}`)
  return question(profile as unknown as Profile)
}

/** Codes of the errors; empty where the profile is valid. */
export async function askValidate(profile: Json, folder: string): Promise<string> {
  const file = join(folder, 'asked.yaml')
  await writeFile(file, JSON.stringify(profile))
  const { problems } = await validateProfile(file, { files: true })
  return problems.flatMap(({ severity, code }) => (severity === 'error' ? [code] : [])).join(' ')
}
