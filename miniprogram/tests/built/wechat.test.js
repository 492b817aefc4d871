/**
 * The built WeChat package, run under Tencent's own component simulator: the real wxml, the real scripts, and
 * a phone whose network is a small server. What it cannot show is rendering and speech on a real phone.
 */
import { createRequire } from 'node:module'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const require = createRequire(import.meta.url)
const sent = []
let simulate, root, app
const made = []

const home = {
  say: '您好', title: '您想办什么？', body: [], next: 'choose', step: null, order: null, payment: null,
  choices: [{ id: 'top_up', label: '充值' }, { id: 'balance', label: '查余额' }, { id: 'agent', label: '找人工' }],
}
const amount = { ...home, title: '您要充多少钱？', choices: [{ id: 'amount:5000', label: '充50元' }, { id: 'home', label: '回首页' }] }

function answer({ url, data }) {
  const path = url.replace(/^https?:\/\/[^/]+/, '')
  if (path === '/api/v1/about') return { sandbox: false, city: 'guangzhou', hotline: '96900' }
  if (path === '/api/v1/sessions') return { token: 't', expires_at: '', user_id: 'u', screen: home }
  if (path === '/api/v1/screen') return { conversation_id: 'c', version: 1, screen: home }
  if (data?.choice === 'top_up') return { conversation_id: 'c', version: 2, heard: [], understood: null, may_listen: true, screen: amount }
  return undefined
}

/** What the phone offers; anything else the runtime probes for is simply absent. */
function phone() {
  const stored = new Map()
  const own = {
    request: (ask) => {
      sent.push(ask)
      const data = answer(ask)
      setTimeout(() => ask.success(data ? { statusCode: 200, data } : { statusCode: 404, data: { code: 'not_found', say: 'no' } }))
    },
    login: ({ success }) => success({ code: 'from-wechat' }),
    getStorageSync: (name) => stored.get(name) ?? '',
    setStorageSync: (name, value) => stored.set(name, value),
    removeStorageSync: (name) => stored.delete(name),
    pageScrollTo: () => undefined,
    getRecorderManager: () => ({}),
    canIUse: () => true,
    onAppShow: () => undefined,
    onAppHide: () => undefined,
  }
  const facts = () => ({ SDKVersion: '3.8.0', platform: 'android', fontSizeSetting: 16, miniProgram: {} })
  const probe = (known, name) => own[name] ?? known[name] ?? (/^get(AppBase|Device|Window|System|Launch|Enter|Account)/.test(name) ? facts : undefined)
  return new Proxy({ ...globalThis.wx }, { get: probe, set: (known, name, value) => ((known[name] = value), true) })
}

/** Register a component with everything it is made of; the simulator's own id of it. */
const known = new Map()
const defined = []
function load(file) {
  if (known.has(file)) return known.get(file)
  const { usingComponents = {} } = JSON.parse(fs.readFileSync(file + '.json', 'utf8'))
  const parts = {}
  for (const [tag, place] of Object.entries(usingComponents)) parts[tag] = load(path.resolve(path.dirname(file), place))
  defined.length = 0
  require(file + '.js')
  const definition = defined.at(-1)
  const id = simulate.load({ ...definition, template: fs.readFileSync(file + '.wxml', 'utf8'), usingComponents: parts })
  known.set(file, id)
  return id
}

const settle = () => simulate.sleep(120)

beforeAll(() => {
  // The package is CommonJS; beside a "type": "module" it would be read as something else.
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'anxin-wechat-'))
  fs.cpSync('dist/build/mp-weixin', root, { recursive: true })
  simulate = require('miniprogram-simulate')
  globalThis.wx = phone()
  globalThis.Component = globalThis.Page = (options) => defined.push(options)
  globalThis.App = (options) => (app = options)
  globalThis.getApp = () => app
  globalThis.getCurrentPages = () => [{ route: 'pages/home/home' }]
  require(path.join(root, 'app.js'))
})

afterAll(() => {
  for (const component of made) component.detach()
  fs.rmSync(root, { recursive: true, force: true })
})

test('the package logs in by WeChat, draws the server’s screen, and a press sends the choice once', async () => {
  const page = simulate.render(load(path.join(root, 'pages/home/home')))
  const host = document.createElement('div')
  document.body.append(host)
  page.attach(host)
  made.push(page)
  app.onLaunch({ path: 'pages/home/home', query: {} })
  page.instance.onLoad?.({})
  await settle()

  expect(sent.map((ask) => ask.url.replace(/^https?:\/\/[^/]+/, ''))).toEqual(['/api/v1/about', '/api/v1/sessions', '/api/v1/screen'])
  expect(sent[1].data).toEqual({ code: 'from-wechat', channel: 'mini_program', device: expect.stringMatching(/^[0-9a-f-]{36}$/) })
  expect(sent[2].header.Authorization).toBe('Bearer t')
  expect(page.dom.textContent).toContain('您想办什么？')
  expect(page.dom.textContent).toContain('查余额')

  // uni names handlers by number and hands them to the wxml in its data: take the one of this choice's button.
  const lists = Object.values(page.data).filter(Array.isArray)
  const button = lists.flat().find((choice) => choice.a === 'top_up')
  for (let tap = 0; tap < 3; tap++) page.instance[button.b]({ type: 'press', detail: {}, target: {}, currentTarget: {} })
  await settle()
  const turns = sent.filter((ask) => ask.url.endsWith('/conversation/turns'))
  expect(turns.map((ask) => ask.data)).toEqual([
    { client_key: expect.stringMatching(/^[0-9a-f-]{36}$/), choice: 'top_up', conversation_id: 'c', version: 1 },
  ])
  expect(page.dom.textContent).toContain('您要充多少钱？')
  expect(page.dom.textContent).toContain('充50元')
})
