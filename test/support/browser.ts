/**
 * A headless Chromium that opens a page, and everything that it then asks the network for.
 */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemTools } from '../../src/base/tool.js'

/** What Chromium asks for by itself, whatever the page. */
const OWN = /^(?:\S+ )(?:https?:\/\/)?[\w.-]+\.(?:google|googleapis)\.com[:/]/

export interface Opened {
  /** The page's document as the browser has it, serialized. */
  dom: string
  /** Requests that the page made, such as `GET http://host/path`. */
  requests: string[]
}

/** `folder` takes the page and the browser's own files. Every request goes to a proxy, which answers with nothing. */
export async function openPage(html: string, folder: string): Promise<Opened> {
  const requests: string[] = []
  const proxy = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    response.end()
  })
  proxy.on('connect', ({ url }, socket) => {
    requests.push(`CONNECT ${url}`)
    socket.end()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const page = join(folder, 'page.html')
  writeFileSync(page, html)
  const args = [
    '--headless',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
    `--user-data-dir=${folder}/profile`,
    // Chromium's sandbox does not start for root.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    `--proxy-server=http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    '--proxy-bypass-list=<-loopback>',
    '--dump-dom',
    pathToFileURL(page).href,
  ]
  try {
    const call = { tool: 'chromium', args, env: { HOME: folder }, timeout: 60 }
    const { stdout } = await systemTools.run(call)
    return { dom: stdout, requests: requests.filter((request) => !OWN.test(request)) }
  } finally {
    proxy.close()
    proxy.closeAllConnections()
  }
}
