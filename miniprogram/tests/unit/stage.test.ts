import { beforeEach, expect, test, vi } from 'vitest'
import { home, house, plugIn, type Answer, type Sent } from '../support/phone'

const isTurn = (sent: Sent) => sent.url.endsWith('/conversation/turns')
const confirm = { ...home, say: 'read back', title: 'read back', next: 'confirm' as const }

beforeEach(() => {
  vi.resetModules()
  vi.unstubAllGlobals()
})

test('arriving shows where this person was', async () => {
  const { stack } = plugIn(
    house((one) => (one.url.endsWith('/screen') ? { status: 200, data: { conversation_id: 'c', version: 9, screen: confirm } } : undefined)),
  )
  const { arrive, stage } = await import('@/lib/stage')
  expect(await arrive()).toBe(true)
  expect(stage.screen).toEqual(confirm)
  expect(stage.at).toEqual({ conversation_id: 'c', version: 9 })
  expect(stack.map((page) => page.route)).toEqual(['pages/home/home', 'pages/confirm/confirm'])
})

test('no network is said in words, and trying again goes on where it stopped', async () => {
  const answers: Answer[] = ['lost']
  plugIn(house((one) => (isTurn(one) ? answers.shift() ?? { status: 200, data: { conversation_id: 'c1', version: 4, screen: confirm } } : undefined)))
  const { arrive, choose, stage } = await import('@/lib/stage')
  await arrive()
  expect(await choose('amount:5000')).toBe(false)
  expect(stage.complaint!.say).toContain('不会重复充')
  expect(stage.screen).toEqual(home)
  await stage.complaint!.retry!()
  expect(stage.complaint).toBeNull()
  expect(stage.screen).toEqual(confirm)
})

test('a refusal is told in the server’s words, over the screen where the conversation now stands', async () => {
  let refused = false
  plugIn(
    house((one) => {
      if (isTurn(one)) {
        refused = true
        return { status: 422, data: { code: 'amount_too_small', say: 'at least fifty', next: 'choose', request_id: 'r' } }
      }
      if (refused && one.url.endsWith('/screen')) {
        return { status: 200, data: { conversation_id: 'c1', version: 5, screen: { ...home, title: 'how much?' } } }
      }
      return undefined
    }),
  )
  const { arrive, choose, stage } = await import('@/lib/stage')
  await arrive()
  await choose('amount:100')
  expect(stage.complaint).toEqual({ say: 'at least fifty', retry: undefined })
  expect(stage.screen!.title).toBe('how much?')
  expect(stage.at.version).toBe(5)
})

test('a page that could not open at all can always be tried again', async () => {
  const busy = { status: 503, data: { code: 'too_busy', say: 'many people', next: 'wait', request_id: 'r' } }
  let times = 0
  plugIn(house((one) => (one.url.endsWith('/screen') && ++times === 1 ? busy : undefined)))
  const { arrive, stage } = await import('@/lib/stage')
  expect(await arrive()).toBe(false)
  expect(stage.complaint!.say).toBe('many people')
  await stage.complaint!.retry!()
  expect(stage.screen).toEqual(home)
})
