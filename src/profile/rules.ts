/**
 * Rules: what the schema cannot say, since it takes two places of a profile, or a look into a text.
 *
 * One small function a rule, in `rules/`, by what it is about. Each runs on what the schema left standing and gives
 * findings in any order. Left out: anything that reads a file (files.ts).
 */
import type { Finding } from '../yaml/problems.js'
import type { Profile } from '../yaml/profile.gen.js'
import type { Sound } from '../yaml/sound.js'
import { fileRules } from './rules/files.js'
import { guestRules } from './rules/guests.js'
import { hostRules } from './rules/host.js'
import { sizeRules } from './rules/sizes.js'
import { stickRules } from './rules/stick.js'
import { uniqueRules } from './rules/unique.js'
import type { Rule } from './rules/valid-parts.js'

const RULES: Rule[] = [...uniqueRules, ...fileRules, ...hostRules, ...guestRules, ...stickRules, ...sizeRules]

export function checkRules(profile: Sound<Profile>): Finding[] {
  return RULES.flatMap((rule) => [...rule(profile)])
}
