/**
 * The schema of profiles, as JSON.
 */
import { readFileSync } from 'node:fs'
import type { Schema } from './wording.js'

/** Beside `src/` and `dist/` alike. */
export const SCHEMA_FILE = new URL('../../schemas/profile.schema.json', import.meta.url)

export const PROFILE_SCHEMA = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as Schema
