/**
 * The page as a browser sees it. The stick of the walk attacks with everything that it may say.
 */
import t from 'tap'
import { reportHtml } from '../../src/lab/report-html.js'
import { openPage } from '../support/browser.js'
import { needBrowser } from '../support/tools.js'
import { FAILED, NAMES, OUTSIDE, PICTURES, WALK } from '../support/walk.js'

const html = reportHtml(WALK, PICTURES)

/** The text of each match's first group, tags and references taken away. */
function texts(dom: string, pattern: RegExp): string[] {
  return [...dom.matchAll(pattern)].map((match) => plain(match[1] as string))
}

function plain(html: string): string {
  const text = html.replace(/<[^>]*>/g, '')
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&').trim()
}

t.test('in a browser', async (t) => {
  if (!needBrowser(t)) return
  const { dom, requests } = await openPage(html, t.testdir())

  await t.test('the verdict and each PC with its own at a glance', async (t) => {
    t.match(plain(/<title>(.*?)<\/title>/s.exec(dom)?.[1] ?? ''), /^FAILED: Boots of /)
    t.match(
      plain(/<p class="verdict bad">(.*?)<\/p>/s.exec(dom)?.[1] ?? ''),
      /^FAILED 7 of 8 PCs passed; failed: old laptop$/,
    )
    const overview = /<table>.*?<\/table>/s.exec(dom)?.[0] ?? ''
    const names = texts(overview, /<th scope="row"><a [^>]*>(.*?)<\/a>/gs)
    t.strictSame(names.slice(0, 7), NAMES.slice(0, 7))
    t.match(names[7], /^hostile <script src="http:/, 'markup is shown as text')
    t.match(
      texts(overview, /<small>(.*?)<\/small>/gs)[0],
      /^UEFI \(OVMF\), 2GiB, 2 CPUs, with /,
      'what PC it is',
    )
    const verdicts = texts(overview, /<th scope="row">.*?<\/th><td[^>]*>(.*?)<\/td>/gs)
    t.strictSame(
      verdicts,
      NAMES.map((name) => (name === FAILED ? 'FAILED' : 'passed')),
    )
    t.strictSame(texts(overview, /<th scope="col">(.*?)<\/th>/gs), [
      'PC',
      'verdict',
      'host',
      'guest counter',
      'shutdown',
      'problems',
    ])
  })

  await t.test('each PC has a section', async (t) => {
    const sections = dom.match(/<section id="pc-\d+">.*?<\/section>/gs) ?? []
    t.equal(sections.length, 8)
    t.match(plain(sections[0] as string), /BIOS|UEFI \(OVMF\)/)
    t.match(sections[0], '<dd>2GiB</dd>')
    t.match(plain(sections[0] as string), 'start number 3')
    t.match(plain(sections[0] as string), /38\.5 s\s*31\.4 s/)
    t.match(plain(sections[0] as string), 'grub: it said nothing')
    t.notMatch(sections[0], '<pre>', 'no serial lines where all is well')
    t.match(sections[2], /<pre>.*Kernel panic - not syncing.*<\/pre>/s)
    t.equal(dom.match(/<img [^>]*src="data:image\/png;base64,[^"]+"/g)?.length, 7 * 2 + 1)
  })

  await t.test('nothing that the stick says is markup', async (t) => {
    t.strictSame(dom.match(/<(script|iframe|link|object|embed|base|form)\b/gi), null)
    t.equal(dom.match(/<style\b/g)?.length, 1)
    t.strictSame([...dom.matchAll(/<[^>]*\bon\w+=/g)].map(String), [])
    const targets = [...dom.matchAll(/<[a-z][^>]*? (?:src|href)="([^"]*)"/g)].map(
      (match) => match[1] as string,
    )
    t.ok(targets.length > 0)
    t.ok(targets.every((target) => /^(#pc-\d|data:image\/png;base64,)/.test(target)))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    t.notMatch(dom, /[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\u202e]/)
  })

  t.strictSame(requests, [], 'no request leaves the page')
})

t.test("what the browser's test can see", async (t) => {
  if (!needBrowser(t)) return
  const outside = `<img src="${OUTSIDE}picture.png">`
  const { requests } = await openPage(`<!DOCTYPE html><title>x</title>${outside}`, t.testdir())
  t.strictSame(requests, [`GET ${OUTSIDE}picture.png`], 'a page that asks is seen to ask')
  const forged = html.replace('<header>', `<header>${outside}<script>document.title = 'forged'</script>`)
  const held = await openPage(forged, t.testdir())
  t.match(held.dom, outside)
  t.strictSame(held.requests, [], "the page's policy holds even what got into it")
  t.notMatch(held.dom, '<title>forged')
})

t.test('a walk that passed, and one that was nowhere', async (t) => {
  const passed = { ...WALK, runs: WALK.runs.filter(({ name }) => name !== FAILED) }
  t.match(reportHtml(passed, []), '<p class="verdict good"><strong>passed</strong> 7 of 7 PCs passed</p>')
  t.match(reportHtml({ ...WALK, runs: [] }, []), '<strong>FAILED</strong> 0 of 0 PCs passed')
})

t.test('a stick that says a lot does not fill the page', async (t) => {
  t.notMatch(html, 'x'.repeat(2001))
  t.match(html, `${'x'.repeat(2000)}…`)
})
