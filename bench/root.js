/**
 * The host's root, against mmdebstrap with the same packages, files left out and archive, in turns.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { HOST_EXCLUDES } from '../dist/host/tree.js'
import { Store, silent, storeFolder } from '../dist/index.js'
import { lockedDebs } from '../dist/lock/fetch.js'
import { prepare } from '../dist/prepare/prepare.js'
import {
  build,
  figure,
  folder,
  linkOrCopy,
  median,
  packageStore,
  RUNS,
  root,
  shown,
  timed,
} from './measure.js'

const LIMIT = 1.25

export async function hostRoot() {
  const run = { store: await Store.open(storeFolder()), progress: silent }
  const profile = join(root, 'profiles/minimal.yaml')
  const prepared = await prepare({ profile }, run)
  const { plan, lock, lockFile } = prepared
  const { host: debs } = await lockedDebs(prepared, ['host', 'tools.pack'], run)
  const archive = writeArchive(debs)
  const [ours, theirs] = [[], []]
  for (let at = 0; at < RUNS; at++) {
    theirs.push(mmdebstrap(plan, archive))
    const store = await packageStore('store', lock, run.store, true)
    const args = [profile, '--lock', lockFile, '--out', join(folder, 'root')]
    const { stages } = build(args, { env: { KEYVISOR_STORE: store.folder } })
    ours.push(stages['tree.host'].seconds + stages.root.seconds)
    rmSync(join(folder, 'root'), { recursive: true })
  }
  const raw = `${shown('ours', ours)}; ${shown('mmdebstrap', theirs)}`
  const what = "host's root from cached packages, against mmdebstrap alone"
  figure(what, median(ours) / median(theirs), LIMIT, '×', raw)
}

function writeArchive(debs) {
  const archive = join(folder, 'archive')
  mkdirSync(archive)
  for (const { item, path } of debs) linkOrCopy(path, join(archive, basename(item.filename)))
  const index = debs.map(({ item }) =>
    item.stanza.replace(/^Filename: .*$/m, `Filename: ./${basename(item.filename)}`),
  )
  writeFileSync(join(archive, 'Packages'), index.join('\n'))
  writeFileSync(join(archive, 'Release'), 'Suite: trixie\nCodename: trixie\n')
  return archive
}

/** Seconds of mmdebstrap alone, into a folder. It makes its own initrd, as we make ours. */
function mmdebstrap({ host }, archive) {
  const excludes = join(folder, 'excludes')
  writeFileSync(excludes, `${HOST_EXCLUDES.join('\n')}\n`)
  const target = join(folder, 'tree')
  const hook = `mkdir -p "$1"/etc/dpkg/dpkg.cfg.d && cp ${excludes} "$1"/etc/dpkg/dpkg.cfg.d/bench`
  const mapping = process.getuid() === 0 ? [] : ['--map-auto', '--map-root-user']
  const inNamespace = ['unshare', ...mapping, '--mount-proc', '--pid', '--fork', '--kill-child', '--']
  const { seconds } = timed([
    ...inNamespace,
    'mmdebstrap',
    '--mode=root',
    '--variant=essential',
    '--format=directory',
    `--include=${host.packages.join(',')}`,
    `--setup-hook=${hook}`,
    '--aptopt=Apt::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    host.suite,
    target,
    `deb [trusted=yes] copy:${archive} ./`,
  ])
  timed([...inNamespace, 'rm', '-rf', target])
  return seconds
}
