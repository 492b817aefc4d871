import { beforeEach, expect, test, vi } from 'vitest'
import { pageFor, open } from '@/lib/pages'
import type { Next, Screen } from '@/lib/types'
import { plugIn } from '../support/phone'

beforeEach(() => vi.unstubAllGlobals())

function screen(next: Next, ids: string[] = [], order = false): Screen {
  const choices = ids.map((id) => ({ id, label: id }))
  return { say: '', title: '', body: [], choices, next, step: null, ...(order ? { order: { id: 'o' } as never } : {}) }
}

test('the server says what comes next; the client only knows which page draws it', () => {
  expect(pageFor(screen('confirm', ['confirm:o:x', 'cancel'], true))).toBe('confirm')
  expect(pageFor(screen('pay', [], true))).toBe('pay')
  expect(pageFor(screen('wait', [], true))).toBe('result')
  expect(pageFor(screen('done', ['home'], true))).toBe('result')
  expect(pageFor(screen('done', ['home']))).toBe('home')
  expect(pageFor(screen('choose', ['pay:o', 'cancel'], true))).toBe('home')
  expect(pageFor(screen('listen', ['amount:5000']))).toBe('home')
  expect(pageFor(screen('choose', ['bind_card', 'home']))).toBe('card')
  expect(pageFor(screen('choose', ['top_up', 'bind_card', 'home']))).toBe('home')
  const code = { ...screen('choose', ['cancel'], true), entry: { way: 'sms', label: '', most: 6 } }
  expect(pageFor(code)).toBe('code')
  expect(pageFor(screen('face', ['agent', 'home']))).toBe('home')
})

test('home lies under every page, so that the phone leads back to it', () => {
  const { stack } = plugIn(() => 'lost')
  const routes = () => stack.map((page) => page.route.split('/').pop())
  open('listen')
  open('confirm')
  expect(routes()).toEqual(['home', 'confirm'])
  open('confirm')
  open('pay')
  open('result')
  expect(routes()).toEqual(['home', 'result'])
  open('home')
  expect(routes()).toEqual(['home'])
})

test('a page opened by its own address is left for home all the same', () => {
  const { stack } = plugIn(() => 'lost')
  stack.splice(0, 1, { route: 'pages/confirm/confirm' })
  open('home')
  expect(stack).toEqual([{ route: 'pages/home/home' }])
})
