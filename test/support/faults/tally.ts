/**
 * What came out of all faults: by verb, and together.
 */
import type { Test } from 'tap'
import { baseline, type Outcome, type Planned, planFaults, tryFault, type Verb } from './faulty.js'

export class Tally {
  readonly outcomes: Outcome[] = []
  damaged = 0

  hits(): Outcome[] {
    return this.outcomes.filter(({ ran }) => ran.hits.length > 0)
  }

  /** The closing line. */
  report(): void {
    const hits = this.hits()
    const triples = new Set(hits.map(({ verb, fault }) => `${verb} ${fault.call} ${fault.errno}`))
    const showing = hits.filter(({ wrongs }) => wrongs.some((wrong) => wrong.startsWith('it shows'))).length
    const bugs = hits.filter(({ ran }) => ran.code === 70).length
    const stores =
      this.damaged + hits.filter(({ wrongs }) => wrongs.some((wrong) => wrong.includes('store:'))).length
    console.error(
      `errors: ${triples.size} triples hit in ${hits.length} runs, ${showing} stacks, ${bugs} exits of 70, ${stores} damaged stores`,
    )
  }
}

/** All faults of a verb; `part` leaves all but some of them out. */
export async function tryVerb(
  t: Test,
  verb: Verb,
  random: (limit: number) => number,
  tally: Tally,
  part = Number.POSITIVE_INFINITY,
): Promise<void> {
  const { calls, sound, never } = await baseline(verb)
  console.error(`# ${verb.name}: never calls ${never.join(', ') || '- nothing'}`)
  const planned = planFaults(calls, random)
  const chosen =
    planned.length <= part
      ? planned
      : Array.from({ length: part }, () => planned[random(planned.length)] as Planned)
  for (const one of chosen) {
    const outcome = await tryFault(verb, one, sound)
    tally.outcomes.push(outcome)
    const { fault, path, tried, wrongs, failed, ran } = outcome
    const name = `${fault.call} ${fault.errno} ${path.slice(verb.folder.length)}`
    t.ok(ran.hits.length > 0, `${name} is met`, { tried, code: ran.code, stderr: ran.stderr.slice(-3000) })
    t.strictSame(
      wrongs,
      [],
      `${name}: ${failed ? 'an error in words' : 'it goes on, and the result is right'}\n${ran.stderr.slice(-3000)}`,
    )
  }
}
