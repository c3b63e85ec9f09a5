/**
 * apt: which packages a set needs, and fetching them.
 *
 * Everything happens with a private apt configuration in a scratch folder: the machine's own package state is
 * neither read nor changed. Only its proxy and transport settings (`Acquire::…`, apt.conf(5)) are honoured.
 * Indexes are checked by apt against Debian's keyring; each .deb by its SHA-256 from there.
 */

import { existsSync } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { fileError } from '../base/file-errors.js'
import { makeFolder } from '../base/make-folder.js'
import { systemTools, type ToolCall, type ToolRunner } from '../base/tool.js'
import { exitStatus } from '../base/tool-errors.js'
import { writeFile } from '../base/write-file.js'
import type { LockedPackage, PackageRequest } from './types.js'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** apt's own downloader: many files at once, each checked against its digest (apt-helper(1)). */
const APT_HELPER = '/usr/lib/apt/apt-helper'

/** Files given to one apt-helper call: the length of a command line is limited (execve(2)). */
const FETCHED_AT_ONCE = 200

/** In the folder of a private apt. */
const CONFIGURATION = 'apt.conf'

/** Seconds without an answer before a mirror counts as unreachable. */
const MIRROR_TIMEOUT = 30

/** One line of a sources.list(5), in parts. */
export interface Source {
  uri: string
  suite: string
  components: string
}

/** A private apt whose indexes are up to date. */
export interface Apt {
  /** Its programs run here, and here is its {@link CONFIGURATION}. */
  folder: string
  /** Date of the newest index, seconds since 1970. */
  epoch: number
  signal?: AbortSignal
}

/** Suites of newer versions that lie beside a suite, and are only looked into when asked for by name. */
const BACKPORTS = /-backports$/

/**
 * The archive of a suite: the mirror that the profile names, else the default that mmdebstrap knows, security
 * and updates included. Asking it takes half a second and no network.
 */
export async function archiveSources(suite: string, mirror: string | undefined): Promise<string[]> {
  const lines: string[] = []
  const hook = `sed 's/^deb /source: deb /' "$1"/etc/apt/sources.list >&2; exit 3`
  const stable = suite.replace(BACKPORTS, '')
  const args = ['--variant=custom', '--format=null', `--setup-hook=${hook}`, stable, '-']
  if (mirror) args.push(`deb ${mirror} ${stable} main`)
  const onLine = (line: string) => {
    if (line.startsWith('source: ')) lines.push(line.slice('source: '.length))
  }
  try {
    await systemTools.run({ tool: 'mmdebstrap', args, onLine, timeout: 60 })
  } catch (error) {
    // The hook ends mmdebstrap on purpose, once it has told its default. One that hung or was killed may have told a part.
    if (lines.length === 0 || exitStatus(error) === undefined) throw error
  }
  // In the same archive, under the suite's own name.
  if (suite !== stable) lines.push((lines[0] as string).replace(` ${stable} `, ` ${suite} `))
  return lines
}

/** The same archives with more of their components (sources.list(5)), each once. */
export function withComponents(lines: readonly string[], components: readonly string[]): string[] {
  return [...new Set(components)].reduce((all, name) => all.map((line) => `${line} ${name}`), [...lines])
}

/** Parses lines in the one-line style of sources.list(5); options in brackets are passed over. */
export function parseSources(lines: readonly string[]): Source[] {
  return lines.flatMap((line) => {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*$/.exec(line)
    if (!match) return []
    const [, uri, suite, components] = match as unknown as [string, string, string, string]
    return [{ uri: uri.replace(/\/+$/, ''), suite, components }]
  })
}

/** Sets up a private apt in `folder` and fetches the indexes. Throws `mirror-unreachable`. */
export async function openApt(lines: readonly string[], folder: string, signal?: AbortSignal): Promise<Apt> {
  if (!existsSync(KEYRING)) {
    throw new KeyvisorError('tool-missing', `Debian's archive keys are not on this machine (${KEYRING})`, {
      hint: 'install them: apt-get install debian-archive-keyring',
    })
  }
  for (const name of ['etc/apt.conf.d', 'etc/preferences.d', 'lists/partial', 'archives/partial']) {
    await makeFolder(join(folder, name))
  }
  await writeFile(join(folder, 'status'), '')
  const sources = parseSources(lines).map(
    (source) => `deb [signed-by=${KEYRING}] ${source.uri} ${source.suite} ${source.components}\n`,
  )
  await writeFile(join(folder, 'etc/sources.list'), sources.join(''))
  const newer = parseSources(lines).find((source) => BACKPORTS.test(source.suite))
  // Without this apt takes a backport only where there is no other version (apt_preferences(5)).
  const preference = newer ? `APT::Default-Release "${newer.suite}";\n` : ''
  await configure(folder, preference)
  const apt = { folder, epoch: 0, ...(signal ? { signal } : {}) }
  await aptRun(apt, 'apt-get', ['update', '-q', '-o', 'APT::Update::Error-Mode=any']).catch((cause) => {
    const isKilled = /has died unexpectedly|received signal/.test(cause.message)
    if (cause.code !== 'tool-failed' || isKilled || fileError(cause)) throw cause
    throw new KeyvisorError('mirror-unreachable', `the package index cannot be fetched\n${cause.message}`, {
      hint: 'check the network, or name another mirror in host.mirror',
      cause,
    })
  })
  return { ...apt, epoch: await newestIndex(join(folder, 'lists')) }
}

/** Its paths are relative: apt.conf(5) has no way to write a quote or a line end in one. */
async function configure(folder: string, preference = ''): Promise<void> {
  const { debian } = ARCHITECTURES[USUAL_ARCHITECTURE]
  const text = `${await machineTransport()}
Dir "/";
Dir::State "./";
Dir::State::lists "./lists";
Dir::State::status "./status";
Dir::Cache "./";
Dir::Cache::archives "./archives";
Dir::Etc "./etc";
Dir::Etc::parts "./etc/apt.conf.d";
APT::Architecture "${debian}";
APT::Architectures { "${debian}"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::http::Timeout "${MIRROR_TIMEOUT}";
Acquire::Retries "3";
${preference}`
  await writeFile(join(folder, CONFIGURATION), text)
}

/** The machine's proxy and transport settings, in the form in which apt reads them back. */
async function machineTransport(): Promise<string> {
  const { stdout } = await systemTools.run({ tool: 'apt-config', args: ['dump', '--no-empty', 'Acquire'] })
  return stdout
    .split('\n')
    .filter((line) => /^Acquire::(https?|ftp|socks5h?)::/i.test(line))
    .join('\n')
}

async function newestIndex(lists: string): Promise<number> {
  let newest = 0
  for (const name of await readdir(lists)) {
    if (!name.endsWith('Release')) continue
    const date = /^Date: (.+)$/m.exec(await readFile(join(lists, name), 'utf8'))?.[1]
    if (date) newest = Math.max(newest, Math.floor(Date.parse(date) / 1000))
  }
  if (newest === 0) throw new KeyvisorError('mirror-unreachable', 'the package index has no date')
  return newest
}

/**
 * Every package that a request needs, dependencies included, as apt would install them into an empty root.
 * Trees that become roots (`essential`) also get what Debian calls essential. Throws `package-unknown` with all
 * unknown names at once.
 */
export async function resolvePackages(
  apt: Apt,
  request: PackageRequest,
  essential: boolean,
): Promise<LockedPackage[]> {
  const wanted = essential ? ['?essential', ...request.packages] : request.packages
  const { stdout } = await aptRun(apt, 'apt-get', ['install', '-s', '-q', ...wanted]).catch((cause) => {
    throw unresolved(request, cause)
  })
  const chosen = [...stdout.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)/gm)]
  const specs = chosen.map(([, name, version]) => `${name}=${version}`)
  const shown = await aptRun(apt, 'apt-cache', ['show', ...specs])
  const packages = shown.stdout.split(/\n\n+/).flatMap((stanza) => parseStanza(stanza))
  const unique = new Map(packages.map((item) => [packageId(item), item]))
  if (unique.size !== chosen.length) {
    throw new Error(
      `BUG: apt chose ${chosen.length} packages for ${request.set} and described ${unique.size}`,
    )
  }
  return [...unique.values()].sort((a, b) => (packageId(a) < packageId(b) ? -1 : 1))
}

function unresolved(request: PackageRequest, cause: KeyvisorError): Error {
  // A system call that failed stands in brackets: "open (28: No space left on device)". It says nothing of packages.
  if (cause.code !== 'tool-failed' || /^ {2}\| E: .* \(\d+: .+\)$/m.test(cause.message)) return cause
  const reasons = [...cause.message.matchAll(/E: (.+)$/gm)].map((match) => match[1])
  const message = `the packages of ${request.set} cannot be found in ${request.suite}: ${reasons.join('; ')}`
  const { component } = request
  const hint = `correct the names under packages${component ? `; a mirror without ${component} needs host.firmware: []` : ''}`
  return new KeyvisorError('package-unknown', message, { hint, cause })
}

/** The identity of a package in a lock: `name_version_architecture`. */
export function packageId(item: LockedPackage): string {
  return `${item.name}_${item.version}_${item.architecture}`
}

/** Reads one stanza of a Packages index (deb822(5)); an empty text gives nothing. */
export function parseStanza(stanza: string): LockedPackage[] {
  if (!stanza.trim()) return []
  const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(stanza)?.[1] ?? ''
  return [
    {
      name: field('Package'),
      version: field('Version'),
      architecture: field('Architecture'),
      sha256: field('SHA256'),
      size: Number(field('Size')),
      filename: field('Filename'),
      stanza: withoutNoise(stanza),
    },
  ]
}

/** What dpkg and apt need to choose and install; the rest would only make locks long. */
const KEPT_FIELDS =
  /^(Package|Source|Version|Architecture|Multi-Arch|Essential|Protected|Important|Priority|Section|Installed-Size|Depends|Pre-Depends|Provides|Conflicts|Breaks|Replaces|Filename|Size|SHA256):/

function withoutNoise(stanza: string): string {
  const lines = stanza.split('\n').filter((line) => KEPT_FIELDS.test(line))
  return `${lines.join('\n')}\n`
}

/**
 * Fetches packages into `folder`, each as `SHA256.deb`, from the first archive that has it; apt checks the digests. A
 * package that none has is an error that lists all of them (`package-gone`).
 *
 * @param archives addresses, in the order in which they are asked
 */
export async function fetchPackages(
  packages: LockedPackage[],
  archives: readonly string[],
  folder: string,
  onFetched: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  let missing = packages
  for (const uri of archives) {
    if (missing.length > 0) await fetchFrom(uri, missing, folder, onFetched, signal)
    missing = missing.filter((item) => !existsSync(debPath(folder, item)))
  }
  if (missing.length === 0) return
  throw new KeyvisorError('package-gone', `no archive has these locked packages: ${packageNames(missing)}`, {
    hint: 'check the network, name an archive that still has them in host.snapshots, or renew the lock with --update',
  })
}

/** As errors list them: `vim 2:9.1, zstd 1.5`. */
export function packageNames(packages: readonly LockedPackage[]): string {
  return packages.map(({ name, version }) => `${name} ${version}`).join(', ')
}

export function debPath(folder: string, item: LockedPackage): string {
  return join(folder, debName(item))
}

const debName = ({ sha256 }: LockedPackage) => `${sha256}.deb`

async function fetchFrom(
  uri: string,
  packages: LockedPackage[],
  folder: string,
  onFetched: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  await configure(folder)
  const watch = setInterval(async () => onFetched(await folderSize(folder)), 500)
  try {
    for (let at = 0; at < packages.length; at += FETCHED_AT_ONCE) {
      const batch = packages.slice(at, at + FETCHED_AT_ONCE)
      const files = batch.flatMap((item) => {
        const path = item.filename.split('/').map(encodeURIComponent).join('/')
        return [`${uri}/${path}`, debName(item), `SHA256:${item.sha256}`]
      })
      await aptRun({ folder, epoch: 0, ...(signal ? { signal } : {}) }, APT_HELPER, [
        'download-file',
        ...files,
      ]).catch(async (error: KeyvisorError) => {
        if (error.code !== 'tool-failed' || fileError(error)) throw error
        // The caller looks at which files came; another source may have the rest.
        for (const item of batch) await removeUnlessWhole(debPath(folder, item), item)
      })
    }
  } finally {
    clearInterval(watch)
    onFetched(await folderSize(folder))
  }
}

/** apt-helper leaves the beginning of a file that broke off, and apt 3.0 what `copy:` found instead. */
async function removeUnlessWhole(path: string, item: LockedPackage): Promise<void> {
  if (existsSync(path) && (await sha256File(path)).sha256 !== item.sha256) await rm(path)
}

/** Bytes of the .debs that have come; the folder may be gone, since this only feeds progress. */
async function folderSize(folder: string): Promise<number> {
  let total = 0
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.endsWith('.deb')) total += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size
  }
  return total
}

/** Runs an apt program with the private configuration; proxy variables pass, apt reads them itself. */
function aptRun(apt: Apt, tool: string, args: string[], runner: ToolRunner = systemTools) {
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|ftp|no)_proxy$/i.test(name))
  const call: ToolCall = {
    tool,
    args,
    cwd: apt.folder,
    env: { ...(Object.fromEntries(proxies) as Record<string, string>), APT_CONFIG: CONFIGURATION },
    ...(apt.signal ? { signal: apt.signal } : {}),
  }
  return runner.run(call)
}

/** The name that an archive or apt's cache gives a package's file; `:` of an epoch is escaped. */
export function debFileName(item: LockedPackage): string {
  return basename(item.filename)
}
