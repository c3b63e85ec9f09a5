/**
 * Source: the text of a profile, as a value and the place of each part of it.
 *
 * YAML 1.2, core schema (https://yaml.org/spec/1.2.2/); JSON is read as the YAML that it is. Left out, since a
 * profile has no need of them: tags, merge keys, keys that are no text, several documents.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'
import type { Code } from '../base/codes.js'
import { KeyvisorError, type Position } from '../base/errors.js'
import { errorHint, errorWords } from '../base/file-errors.js'
import { readUserFile } from '../base/user-file.js'
import type { Finding, PositionOf, ProfilePath } from './problems.js'

/** A finding whose place is known as an offset into the text, or not at all. */
export type SourceFinding = Finding & { position?: Position }

export interface ProfileSource {
  /** What the text says, not yet checked against the schema. */
  value: unknown
  positionOf: PositionOf
}

/** How often an anchor's content may come in through aliases, nested ones multiplied. */
const MAX_ALIASES = 100

/** Reads a profile's text. `source` is there when the text could be read as one document. */
export async function readSource(
  file: string,
): Promise<{ source?: ProfileSource; findings: SourceFinding[] }> {
  let bytes: Buffer
  try {
    bytes = await readUserFile(file)
  } catch (error) {
    return { findings: [unreadable(error as Error, file)] }
  }
  return parseSource(bytes)
}

/** Parses a profile's bytes; the part of {@link readSource} that needs no file. */
export function parseSource(bytes: Uint8Array): { source?: ProfileSource; findings: SourceFinding[] } {
  const encoding = encodingFinding(bytes)
  if (encoding?.code === 'bad-encoding') return { findings: [encoding] }
  const findings = encoding ? [encoding] : []
  const lines = new LineCounter()
  const document = parseDocument(new TextDecoder().decode(bytes), {
    lineCounter: lines,
    logLevel: 'error',
    prettyErrors: false,
    resolveKnownTags: false,
    stringKeys: true,
    version: '1.2',
  })
  const place = (offset: number) => position(lines, offset)
  findings.push(...syntaxFindings(document, place))
  if (findings.some(({ code }) => code !== 'byte-order-mark')) return { findings }
  if (document.contents === null) return { findings: [...findings, empty()] }
  return {
    source: { value: document.toJS({ maxAliasCount: -1 }), positionOf: finder(document, place) },
    findings,
  }
}

function unreadable(error: NodeJS.ErrnoException, file: string): SourceFinding {
  if (error.code === 'ENOENT') return { code: 'no-file', path: [], message: 'there is no such file' }
  if (!(error instanceof KeyvisorError))
    return {
      code: 'not-a-file',
      path: [],
      message: `it cannot be read: ${errorWords(error)}`,
      hint: errorHint(error),
    }
  // The file's name stands before each finding.
  const message = error.message.replace(`${file} is`, 'this is').replace(`${file} has`, 'it has')
  return { code: 'not-a-file', path: [], message, ...(error.hint ? { hint: error.hint } : {}) }
}

function empty(): SourceFinding {
  return {
    code: 'empty-profile',
    path: [],
    position: { line: 1, column: 1 },
    message: 'the profile is empty',
    hint: 'make a first one with keyvisor init',
  }
}

// ---------------------------------------------------------------------------------------------- encoding

/** YAML 1.2.2, section 5.2, would take UTF-16 and UTF-32 too; no editor of today writes them unasked. */
function encodingFinding(bytes: Uint8Array): SourceFinding | undefined {
  const place = {
    path: [],
    position: { line: 1, column: 1 },
    hint: 'save it as UTF-8 without a byte order mark',
  }
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const before = new TextDecoder().decode(bytes).split('\ufffd', 1)[0] as string
    const line = before.split('\n').length
    const column = before.length - before.lastIndexOf('\n')
    const message = 'the text is not UTF-8 from here on'
    return { ...place, code: 'bad-encoding', position: { line, column }, message }
  }
  if (bytes[0] !== 0xef || bytes[1] !== 0xbb || bytes[2] !== 0xbf) return undefined
  return { ...place, code: 'byte-order-mark', message: 'the file begins with a byte order mark' }
}

// ---------------------------------------------------------------------------------------------- syntax

type Place = (offset: number) => Position

function position(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

/**
 * All duplicate keys, but of the other errors only the first: what follows a syntax error is guesswork. Unknown
 * tags and directives are warnings to the parser and errors to us.
 */
function syntaxFindings(document: Document.Parsed, place: Place): SourceFinding[] {
  const errors: YAMLError[] = [...document.errors, ...document.warnings]
  const duplicates = errors.filter(({ code }) => code === 'DUPLICATE_KEY')
  const others = errors.filter(({ code }) => code !== 'DUPLICATE_KEY').slice(0, 1)
  const findings = [...duplicates, ...others].map((error) => syntaxFinding(error, place))
  return findings.length > 0 ? findings : aliasFindings(document, place)
}

const SYNTAX: Partial<Record<YAMLError['code'], { code: Code; message: string; hint: string }>> = {
  DUPLICATE_KEY: { code: 'duplicate-key', message: 'this key is here already', hint: 'keep one of the two' },
  TAB_AS_INDENT: { code: 'tab-indent', message: 'a tab indents this line', hint: 'indent with spaces' },
  MULTIPLE_DOCS: {
    code: 'several-documents',
    message: 'a second YAML document begins here',
    hint: 'keep one profile in a file',
  },
  NON_STRING_KEY: { code: 'bad-syntax', message: 'a key must be text', hint: 'write the key as one word' },
  RESOURCE_EXHAUSTION: {
    code: 'bad-syntax',
    message: 'lists or objects are nested too deep',
    hint: 'close the brackets that were opened',
  },
}

function syntaxFinding(error: YAMLError, place: Place): SourceFinding {
  const known = SYNTAX[error.code] ?? { code: 'bad-syntax', message: lowerFirst(error.message) }
  return { ...known, path: [], position: place(error.pos[0]) }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** Aliases that name nothing, and those that together say too much ("billion laughs"). */
function aliasFindings(document: Document.Parsed, place: Place): SourceFinding[] {
  const findings: SourceFinding[] = []
  let first: number | undefined
  visit(document, {
    Alias(_, alias) {
      const offset = alias.range?.[0] ?? 0
      first ??= offset
      if (alias.resolve(document)) return
      const message = `there is no anchor &${alias.source} before this alias`
      findings.push({ code: 'bad-syntax', path: [], position: place(offset), message })
    },
  })
  if (findings.length > 0 || first === undefined) return findings
  try {
    document.toJS({ maxAliasCount: MAX_ALIASES })
    return []
  } catch {
    const message = `aliases expand to more than ${MAX_ALIASES} copies`
    const hint = 'write the values out'
    return [{ code: 'too-many-aliases', path: [], position: place(first), message, hint }]
  }
}

// ---------------------------------------------------------------------------------------------- places

interface Found {
  key?: Node | undefined
  value?: Node | undefined
}

function finder(document: Document.Parsed, place: Place): PositionOf {
  return (path, at = 'value') => {
    let found: Found = { value: document.contents as Node }
    let whole = true
    for (const step of path) {
      const next = child(resolved(found.value, document), step)
      if (!next) {
        whole = false
        break
      }
      found = next
    }
    const node = whole && at === 'key' ? (found.key ?? found.value) : shown(found)
    return place(node?.range?.[0] ?? 0)
  }
}

/** The value, or its key where the value is nothing, which has no place that a person would look at. */
function shown({ key, value }: Found): Node | undefined {
  const nothing = !value || (isScalar(value) && value.source === '' && value.value === null)
  return nothing ? (key ?? value) : value
}

function resolved(node: Node | undefined, document: Document.Parsed): Node | undefined {
  return isAlias(node) ? node.resolve(document) : node
}

function child(node: Node | undefined, step: ProfilePath[number]): Found | undefined {
  if (isSeq<Node>(node) && typeof step === 'number') {
    const value = node.items[step]
    return value && { value }
  }
  if (!isMap<Node, Node>(node)) return undefined
  const pair: Pair<Node, Node | null> | undefined = node.items.find(
    ({ key }) => isScalar(key) && String(key.value) === step,
  )
  return pair && { key: pair.key, value: pair.value ?? undefined }
}
