/**
 * Writes evidence for a person (`report.html`) and for CI (`junit.xml`).
 *
 * Left out: what stands in them (`report-html.ts`, `junit.ts`), and what each boot leaves itself (`prove.ts`).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFile } from '../base/write-file.js'
import type { Evidence, Pictures } from './evidence.js'
import { junitXml } from './junit.js'
import type { Proof } from './prove.js'
import { reportHtml } from './report-html.js'

/** Writes both files to a folder that is there, and says where they are. Pictures are read from each proof's own folder. */
export async function writeEvidence(
  folder: string,
  evidence: Evidence,
): Promise<{ html: string; junit: string }> {
  const pictures = await Promise.all(evidence.runs.map(({ proof }) => readPictures(proof)))
  const [html, junit] = [join(folder, 'report.html'), join(folder, 'junit.xml')]
  await writeFile(html, reportHtml(evidence, pictures))
  await writeFile(junit, junitXml(evidence))
  return { html, junit }
}

async function readPictures({ report, screens }: Proof): Promise<Pictures> {
  if (report === null) return new Map()
  const read = screens.map(async ({ file }) => {
    const png = await readFile(join(report, file))
    return [file, png.toString('base64')] as const
  })
  return new Map(await Promise.all(read))
}
