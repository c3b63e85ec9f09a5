/**
 * Puts the command line into few files: hundreds of small modules take longer to find than to run. The rest of dist/ stays
 * as tsc made it, for those who use Keyvisor as a library.
 *
 * Chunks lie beside the entry, as deep below the package as the modules that they are of: `packageFile` finds what it
 * always found. Types were checked by tsc.
 */
import { chmodSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { _ } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import standalone from 'ajv/dist/standalone/index.js'
import { rollup } from 'rollup'
import ts from 'typescript'
import { AJV_OPTIONS } from '../dist/yaml/compile.js'
import { PROFILE_SCHEMA } from '../dist/yaml/profile-schema.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUT = join(ROOT, 'dist/cli')

/** TypeScript names a module as it will be called: `./plan.js` is plan.ts. */
const typescript = {
  name: 'typescript',
  resolveId: (source, importer) =>
    importer && source.startsWith('.') ? join(importer, '..', source).replace(/\.js$/, '.ts') : null,
  load(id) {
    if (!id.endsWith('.ts')) return null
    const compilerOptions = {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      sourceMap: true,
    }
    const { outputText, sourceMapText } = ts.transpileModule(readFileSync(id, 'utf8'), {
      compilerOptions,
      fileName: id,
    })
    return { code: outputText.replace(/\n\/\/# sourceMappingURL=.*/, ''), map: sourceMapText }
  },
}

/** What ajv makes of the profile's schema, in place of the module that has it made at each start. */
const compiled = {
  name: 'compiled',
  load(id) {
    if (id !== join(ROOT, 'src/yaml/profile-validator.ts')) return null
    const ajv = new Ajv2020({
      ...AJV_OPTIONS,
      code: { ...AJV_OPTIONS.code, source: true, formats: _`formats` },
    })
    const code = standalone.default(ajv, ajv.compile(PROFILE_SCHEMA))
    const imports = []
    const body = code
      .replace('"use strict";', '')
      .replace(
        /module\.exports = validate(\d+);module\.exports\.default = validate\d+;/,
        'const validator = validate$1;',
      )
      .replace(/require\("(ajv\/dist\/runtime\/\w+)"\)/g, (_, path) => {
        imports.push(`import runtime${imports.length} from '${path}.js'`)
        return `runtime${imports.length - 1}`
      })
    if (/\brequire\(|module\.exports/.test(body)) throw new Error('ajv made a module of another form')
    const head = [...imports, "import { formats } from './formats.js'"].join('\n')
    return `${head}\n${body}\nexport function profileValidator() { return validator }\n`
  },
}

/** yaml as one tree of modules: its form for Node is that of CommonJS. */
const YAML = join(ROOT, 'node_modules/yaml/browser/dist/index.js')
const yaml = {
  name: 'yaml',
  resolveId(source, importer) {
    if (source === 'yaml') return YAML
    return importer?.startsWith(dirname(YAML)) ? join(importer, '..', source) : null
  },
}

const bundle = await rollup({
  input: join(ROOT, 'src/cli/main.ts'),
  external: (id) => id !== 'yaml' && !id.startsWith('.') && !id.startsWith('/'),
  plugins: [compiled, yaml, typescript],
  onwarn: (warning) => {
    throw new Error(warning.message)
  },
})
rmSync(OUT, { recursive: true, force: true })
await bundle.write({
  dir: OUT,
  format: 'es',
  sourcemap: true,
  chunkFileNames: '[name]-[hash].js',
  banner: ({ isEntry }) => (isEntry ? '#!/usr/bin/env node' : ''),
  // The entry waits for the rest, which must not wait for the entry.
  manualChunks: (id) => (id === join(ROOT, 'src/base/package.ts') ? 'package' : undefined),
})
await bundle.close()
chmodSync(join(OUT, 'main.js'), 0o755)
