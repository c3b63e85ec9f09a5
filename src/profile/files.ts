/**
 * Files: whether what a profile names is there, and is what the profile says.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Finding } from '../yaml/problems.js'
import type { Profile } from '../yaml/profile.gen.js'
import { entries, type Sound } from '../yaml/sound.js'
import { checkImages } from './images.js'
import { type Found, regularFile } from './named-file.js'
import { fileLists } from './rules/valid-parts.js'
import { type PlacedSecret, secretFinding, secretSources } from './secrets.js'
import { keysFinding } from './ssh.js'

/** Looks at each file that the profile names, relative to `folder`. */
export async function checkFiles(profile: Sound<Profile>, folder: string): Promise<Finding[]> {
  const keyFiles = entries(profile.host?.admin?.sshKeyFiles, ['host', 'admin', 'sshKeyFiles'])
  const checks = [
    ...fileLists(profile)
      .flat()
      .map(({ value, path }) => at([...path, 'source'], value.source, regularFile)),
    ...keyFiles.map(({ value, path }) => at(path, value, keyFile)),
    ...secretSources(profile).map((secret) => secretAt(secret)),
  ]
  const [found, images] = await Promise.all([Promise.all(checks), checkImages(profile, folder)])
  return [...found.flatMap((finding) => (finding ? [finding] : [])), ...images]

  async function secretAt({ value, path, form }: PlacedSecret) {
    const unreadable = 'file' in value ? await at([...path, 'file'], value.file, regularFile) : undefined
    const found = unreadable ?? (await secretFinding(value, form, folder))
    return found && { path, ...found }
  }

  async function at(
    path: Finding['path'],
    name: string | undefined,
    check: (file: string) => Promise<Found>,
  ) {
    if (name === undefined) return undefined
    const finding = await check(resolve(folder, name))
    return finding && { ...finding, path }
  }
}

async function keyFile(file: string): Promise<Found> {
  return (await regularFile(file)) ?? keysFinding(await readFile(file, 'utf8'))
}
