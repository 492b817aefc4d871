import { beforeEach, expect, test, vi } from 'vitest'
import { home, house, plugIn, type Answer, type Sent } from '../support/phone'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const turn = { conversation_id: 'c1', version: 4, heard: [], understood: null, may_listen: true, screen: home }
const isTurn = (sent: Sent) => sent.url.endsWith('/conversation/turns')
const at = { conversation_id: 'c1', version: 3 }

beforeEach(() => {
  vi.resetModules()
  vi.unstubAllGlobals()
})

test('the key of a wish is on the phone before the wish is sent', async () => {
  let storedWhenSent = ''
  const { stored, sent } = plugIn(
    house((one) => {
      if (!isTurn(one)) return
      storedWhenSent = stored.get('anxin.keys') ?? ''
      return { status: 200, data: turn }
    }),
  )
  const { answerByTouch } = await import('@/lib/api')
  await answerByTouch('top_up', at)
  const wish = sent.find(isTurn)!
  expect(wish.data).toEqual({ client_key: expect.stringMatching(UUID), choice: 'top_up', ...at })
  expect(storedWhenSent).toContain(wish.data.client_key)
  expect(stored.get('anxin.keys')).toBe('[]')
})

test('a wish without an answer keeps its key, through a reload too; an answer ends it', async () => {
  let answers: Answer[] = ['lost', { status: 502, data: '<html>' }, { status: 200, data: turn }, { status: 200, data: turn }]
  const { sent } = plugIn(house((one) => (isTurn(one) ? answers.shift() : undefined)))
  let api = await import('@/lib/api')
  await expect(api.answerByTouch('confirm:o1:x', at)).rejects.toMatchObject({ kind: 'network' })
  await expect(api.answerByTouch('confirm:o1:x', at)).rejects.toMatchObject({ kind: 'network' })
  vi.resetModules() // the page was closed and opened again; only the phone's storage is left
  api = await import('@/lib/api')
  await api.answerByTouch('confirm:o1:x', at)
  await api.answerByTouch('confirm:o1:x', at)
  const keys = sent.filter(isTurn).map((one) => one.data.client_key)
  expect(keys[1]).toBe(keys[0])
  expect(keys[2]).toBe(keys[0])
  expect(keys[3]).not.toBe(keys[0])
})

test('another wish has another key, and a refusal settles its own', async () => {
  const no = { status: 422, data: { code: 'choice_unknown', say: 'gone', next: 'choose', request_id: 'r' } }
  const { sent, stored } = plugIn(house((one) => (isTurn(one) ? no : undefined)))
  const { answerByTouch } = await import('@/lib/api')
  await expect(answerByTouch('amount:5000', at)).rejects.toMatchObject({ say: 'gone', code: 'choice_unknown' })
  await expect(answerByTouch('amount:10000', at)).rejects.toMatchObject({ kind: 'server' })
  const [first, second] = sent.filter(isTurn).map((one) => one.data.client_key)
  expect(first).not.toBe(second)
  expect(stored.get('anxin.keys')).toBe('[]')
})

test('a clip is sent again as it was, under the same key', async () => {
  const answers: Answer[] = ['lost', { status: 200, data: turn }]
  const { sent } = plugIn(house((one) => (isTurn(one) ? answers.shift() : undefined)))
  const { answerByVoice } = await import('@/lib/api')
  const clip = { id: 'clip-1', path: '', file: new File(['sound'], 'speech.webm', { type: 'audio/webm' }) }
  await expect(answerByVoice(clip, at)).rejects.toMatchObject({ kind: 'network' })
  expect((await answerByVoice(clip, at)).version).toBe(4)
  const [first, second] = sent.filter(isTurn)
  expect(first.formData).toEqual({ client_key: expect.stringMatching(UUID), conversation_id: 'c1', version: '3' })
  expect(second.formData).toEqual(first.formData)
  expect(second.files![0].file).toBe(clip.file)
})

test('an expired session is renewed once, silently, and the same wish goes again', async () => {
  const over = { status: 401, data: { code: 'login_required', say: 'again', next: 'login', request_id: 'r' } }
  const { sent } = plugIn(
    house((one) => {
      if (!isTurn(one)) return
      return one.header.Authorization === 'Bearer token-1' ? over : { status: 200, data: turn }
    }),
  )
  const { answerByTouch } = await import('@/lib/api')
  await answerByTouch('top_up', at)
  const [first, second] = sent.filter(isTurn)
  expect(first.header.Authorization).toBe('Bearer token-1')
  expect(second.header.Authorization).toBe('Bearer token-2')
  expect(second.data).toEqual(first.data)
})

test('a session that is refused twice is told, not asked for ever', async () => {
  const over = { status: 401, data: { code: 'login_required', say: 'again', next: 'login', request_id: 'r' } }
  const { sent } = plugIn(house((one) => (isTurn(one) ? over : undefined)))
  const { answerByTouch } = await import('@/lib/api')
  await expect(answerByTouch('top_up', at)).rejects.toMatchObject({ code: 'login_required' })
  expect(sent.filter(isTurn)).toHaveLength(2)
})

test('questions asked at the same moment share one login', async () => {
  const { sent } = plugIn(house((one) => (one.url.includes('/orders') ? { status: 200, data: { orders: [] } } : undefined)))
  const { myOrders, whereIAm } = await import('@/lib/api')
  await Promise.all([whereIAm(), myOrders(), whereIAm()])
  expect(sent.filter((one) => one.url.endsWith('/sessions'))).toHaveLength(1)
})

test('a phone that refuses to store anything still works', async () => {
  plugIn(house((one) => (isTurn(one) ? { status: 200, data: turn } : undefined)))
  const phone = (globalThis as any).uni
  phone.setStorageSync = phone.getStorageSync = () => {
    throw new Error('private window')
  }
  const { answerByTouch } = await import('@/lib/api')
  expect((await answerByTouch('top_up', at)).version).toBe(4)
})

test('without randomUUID the key has the same shape and no two are alike', async () => {
  plugIn(house(() => undefined))
  vi.stubGlobal('crypto', undefined)
  const { uuid } = await import('@/lib/keys')
  const many = new Set(Array.from({ length: 1000 }, uuid))
  expect(many.size).toBe(1000)
  for (const one of many) expect(one).toMatch(UUID)
})
