/** What was built, as it would be served and uploaded: nothing from elsewhere, small, and readable aloud. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const H5 = 'dist/build/h5'
const WECHAT = 'dist/build/mp-weixin'

function files(folder: string): string[] {
  if (!fs.existsSync(folder)) throw new Error(folder + ' is missing: npm run build')
  const names = fs.readdirSync(folder, { recursive: true }) as string[]
  return names.map((name) => path.join(folder, name)).filter((file) => fs.statSync(file).isFile())
}
const weight = (folder: string) => files(folder).reduce((sum, file) => sum + fs.statSync(file).size, 0)

/** Names of namespaces and two links inside messages for programmers; none of them is ever fetched. */
const ONLY_WORDS = ['www.w3.org', 'vuejs.org', 'uniapp.dcloud.net.cn', '127.0.0.1']

test.each([H5, WECHAT])('%s names no address of a third party', (folder) => {
  const found = new Set<string>()
  for (const file of files(folder)) {
    const text = fs.readFileSync(file, 'utf8')
    for (const [, host] of text.matchAll(/(?:https?:)?\/\/([a-z0-9-]+(?:\.[a-z0-9-]+)+)/gi)) found.add(host)
  }
  expect([...found].filter((host) => !ONLY_WORDS.includes(host))).toEqual([])
})

test('the page asks only for files beside it, and runs no script written into it', () => {
  const html = fs.readFileSync(path.join(H5, 'index.html'), 'utf8')
  const asked = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1])
  for (const address of asked) expect(address).toMatch(/^(\.\/assets\/|data:image)/)
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/)
  expect(html).toContain('lang="zh-CN"')
})

test('the WeChat package is far below its limit of 2 MB, and the page is light', () => {
  expect(weight(WECHAT)).toBeLessThan(1024 * 1024)
  expect(weight(H5)).toBeLessThan(400 * 1024)
})

test('WeChat’s screen reader finds what a browser’s finds', () => {
  const wxml = files(WECHAT).filter((file) => file.endsWith('.wxml')).map((file) => fs.readFileSync(file, 'utf8')).join('')
  for (const attribute of ['aria-role="heading"', 'aria-level="1"', 'aria-role="alert"', 'aria-live="assertive"']) {
    expect(wxml).toContain(attribute)
  }
  for (const button of wxml.match(/<button[^>]*>/g)!) expect(button).toContain('aria-label=')
  expect(wxml).not.toMatch(/\srole=/)
  expect(wxml).not.toContain('tabindex')
})

test('every page of the list is in the package', () => {
  const { pages } = JSON.parse(fs.readFileSync(path.join(WECHAT, 'app.json'), 'utf8'))
  const list = JSON.parse(fs.readFileSync('src/pages.json', 'utf8')).pages as { path: string }[]
  expect(pages).toEqual(list.map((page) => page.path))
  for (const page of pages) expect(fs.existsSync(path.join(WECHAT, page + '.wxml'))).toBe(true)
})

test('the style sheet uses only what WeChat’s style sheets know', () => {
  const wxss = fs.readFileSync(path.join(WECHAT, 'app.wxss'), 'utf8').replace(/url\([^)]*\)/g, '').replace(/\/\*[\s\S]*?\*\//g, '')
  const selectors = [...wxss.matchAll(/([^{}]+)\{/g)].map((match) => match[1])
  expect(selectors.filter((selector) => selector.includes('*'))).toEqual([])
  expect(wxss).not.toContain('position:fixed')
})
