import { beforeEach, expect, test, vi } from 'vitest'
import { house, home, plugIn, type Answer, type Sent } from '../support/phone'

const POSITION = 'X-Anxin-Position'
const turn = { conversation_id: 'c1', version: 4, heard: [], understood: null, may_listen: true, screen: home }
const page = { orders: [] }
const at = { conversation_id: 'c1', version: 3 }
const isTurn = (sent: Sent) => sent.url.endsWith('/conversation/turns')
const isReading = (sent: Sent) => sent.url.endsWith('/orders')

function told(position: string, data: unknown, name = POSITION): Answer {
  return { status: 200, data, header: { [name]: position } }
}

beforeEach(() => {
  vi.resetModules()
  vi.unstubAllGlobals()
})

test('a reading says the latest position an answer told, however its name is spelt', async () => {
  const answers = [told('0/A', page), told('1/0', page, 'x-anxin-position'), told('0/FF', page), told('0/FF', page)]
  const { sent } = plugIn(house((one) => (isReading(one) ? answers.shift() : undefined)))
  const { myOrders } = await import('@/lib/api')
  for (let n = 0; n < 4; n++) await myOrders()
  expect(sent.filter(isReading).map((one) => one.header[POSITION])).toEqual([undefined, '0/A', '1/0', '1/0'])
})

test('a wish says none, and the reading after it says what its answer told', async () => {
  const { sent } = plugIn(
    house((one) => (isReading(one) ? told('0/A', page) : isTurn(one) ? told('0/B', turn) : undefined)),
  )
  const { answerByTouch, myOrders } = await import('@/lib/api')
  await myOrders()
  await answerByTouch('top_up', at)
  await myOrders()
  expect(sent.find(isTurn)!.header[POSITION]).toBeUndefined()
  expect(sent.filter(isReading)[1].header[POSITION]).toBe('0/B')
})

test.each<[string, Answer]>([
  ['got lost', 'lost'],
  ['told none', { status: 200, data: turn }],
])('after a wish whose answer %s, a reading says no position', async (_what, answer) => {
  const { sent } = plugIn(house((one) => (isReading(one) ? told('0/A', page) : isTurn(one) ? answer : undefined)))
  const { answerByTouch, myOrders } = await import('@/lib/api')
  await myOrders()
  await answerByTouch('top_up', at).catch(() => undefined)
  await myOrders()
  await myOrders()
  expect(sent.filter(isReading).map((one) => one.header[POSITION])).toEqual([undefined, undefined, '0/A'])
})

test('what a reading learns is not believed when a wish was sent after it', async () => {
  const { reading, wishing } = await import('@/lib/position')
  const early = reading()
  const wish = wishing()
  expect(reading().header).toEqual({})
  wish({ [POSITION]: '0/20' })
  early.answered({ [POSITION]: '0/30' })
  expect(reading().header).toEqual({ [POSITION]: '0/20' })
})

test('while one of two wishes is under way, a reading says no position', async () => {
  const { reading, wishing } = await import('@/lib/position')
  const [first, second] = [wishing(), wishing()]
  second({ [POSITION]: '0/20' })
  expect(reading().header).toEqual({})
  first({ [POSITION]: '0/10' })
  expect(reading().header).toEqual({ [POSITION]: '0/20' })
})
