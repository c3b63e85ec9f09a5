/**
 * The end: guests are shut down when their host is.
 */
import { STOP_WITHIN } from '../guest/hypervisor.js'
import { hypervisorOf } from './facts.js'
import { isRunning, virsh } from './guest.js'
import { type Machine, must } from './machine.js'

/** A guest that is still starting misses a press of its power button; one that is shutting down ignores it. */
const PRESS_EVERY = 10_000

/** Exit code of pgrep(1). */
const NO_PROCESS = 1

/**
 * Presses every guest's power button until none runs any more; those that a user made are guests too. A guest that is
 * paused cannot shut down, and is not waited for.
 *
 * @returns names of those that still run: their plug will be pulled
 */
export function stopGuests(machine: Machine): string[] {
  const deadline = machine.now() + STOP_WITHIN * 1000
  for (;;) {
    const running = runningGuests(machine)
    if (running.length === 0 || machine.now() >= deadline) return running
    // One that has ended by now answers with an error, and that is well.
    for (const name of running) machine.run(virsh('shutdown', name))
    const again = machine.now() + PRESS_EVERY
    while (machine.now() < again && running.some((name) => isRunning(machine, { name }))) machine.sleep(1000)
  }
}

/**
 * Without a guest libvirt is not asked: its daemon ends when it has had none for two minutes, and could not be started
 * again while the host shuts down.
 */
function runningGuests(machine: Machine): string[] {
  if (machine.run(['pgrep', '-f', `^${hypervisorOf(machine).processes}`]).code === NO_PROCESS) return []
  const names = must(machine, virsh('list', '--name', '--state-running'))
  return names.split('\n').filter((name) => name !== '')
}
