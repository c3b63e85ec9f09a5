/**
 * Definitions that live: what a user changed of a guest is still there on another PC, and the guest runs there.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GiB } from '../../src/base/units.js'
import { type Trial, type TrialOptions, withTrial } from '../../src/lab/trial.js'
import { isEvent, onStick, openStick, SHUTDOWN, serialText, waitFor } from '../support/demo.js'
import { PROFILE } from '../support/machines.js'

const stick = await openStick(t, PROFILE)
const VIRSH = 'virsh -q -c qemu:///system'

if (stick) {
  const keep = join(t.testdir(), 'stick.qcow2')
  const boot = (name: string, options: TrialOptions, look: (t: Test, trial: Trial) => Promise<void>) =>
    t.test(name, (t) =>
      withTrial(
        stick.image,
        { accelerator: 'tcg', ssh: true, keep, ...options },
        stick.place,
        async (trial) => {
          const done = await waitFor(trial, 600, isEvent('done'))
          if (!t.ok(done, 'done', { serial: (await serialText(trial)).slice(-2000) })) return
          await look(t, trial)
          t.equal(await trial.shutDown(SHUTDOWN), 'off')
        },
      ),
    )

  await boot('a user adds a disk and a note', {}, async (t, trial) => {
    const asked = await onStick(
      trial,
      `sudo qemu-img create -q -f qcow2 /data/mine.qcow2 64M
       ${VIRSH} attach-disk elastic /data/mine.qcow2 vdx --subdriver qcow2 --config
       ${VIRSH} desc elastic --config "the books"
       ${VIRSH} dumpxml elastic --inactive`,
    )
    t.match(asked, /mine\.qcow2/)
  })

  const smaller = { memory: 2 * GiB, cpus: 1, virtualization: false }
  await boot(
    'on a smaller PC without virtualization both are there, and the guest runs',
    smaller,
    async (t, trial) => {
      const told = trial.events.find((event) => event.event === 'guest' && event.name === 'elastic')
      t.match(told, { state: 'started', accelerator: 'tcg', cpus: 1, note: '' })
      t.equal(await onStick(trial, `${VIRSH} domstate elastic`), 'running')
      t.equal(await onStick(trial, `${VIRSH} desc elastic`), 'the books')
      const xml = await onStick(trial, `${VIRSH} dumpxml elastic`)
      t.match(xml, /<domain type='qemu'/)
      t.match(xml, /<source file='\/data\/mine\.qcow2'/)
    },
  )
}
