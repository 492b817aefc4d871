import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, expect, test, vi } from 'vitest'
import { home, house, plugIn } from '../support/phone'

const order = {
  id: 'o1', state: 'paid', truth: 'paid', amount_fen: 5000, fee_fen: 0, card_id: 'c', card_label: 'a card',
  read_back: 'x', created_at: '2026-11-23T11:05:00Z', paid_at: null, promised_at: null, credited_at: null,
}

beforeEach(() => {
  vi.resetModules()
  vi.unstubAllGlobals()
  plugIn(house(() => undefined))
  Object.defineProperty(window, 'scrollTo', { value: () => undefined, configurable: true })
})

async function put(screen: object) {
  const { stage } = await import('@/lib/stage')
  stage.screen = { ...home, ...screen } as never
}

test('home always has a way to a person, and no amount is chosen for anybody', async () => {
  await put({ choices: [{ id: 'top_up', label: '充值' }, { id: 'balance', label: '查余额' }] })
  const Home = (await import('@/pages/home/home.vue')).default
  const page = mount(Home)
  await flushPromises()
  const names = page.findAll('button').map((button) => button.attributes('aria-label'))
  expect(names).toContain('找人工')
  expect(names[0]).toContain('说话充值')
  const pressed = page.findAll('[aria-pressed]').map((button) => button.attributes('aria-pressed'))
  expect(pressed).not.toContain('true')
})

test('the confirmation draws the amount large and keeps its words', async () => {
  await put({
    next: 'confirm',
    order: { ...order, truth: 'not_paid' },
    body: [{ label: '金额', text: '50元（五十元）' }, { label: '手续费', text: '不收手续费' }],
    choices: [{ id: 'confirm:o1:x', label: '确认，付50元' }, { id: 'cancel', label: '不充了' }],
  })
  const Confirm = (await import('@/pages/confirm/confirm.vue')).default
  const page = mount(Confirm)
  expect(page.find('.money-digits').text()).toBe('50')
  expect(page.find('.sum-words').text()).toBe('五十元')
  expect(page.text()).toContain('不收手续费')
  expect(page.findAll('.btn-main').map((button) => button.attributes('aria-label'))).toEqual(['确认，付50元'])
})

test('paid is not credited: the result says both, each by itself', async () => {
  await put({ next: 'wait', order, choices: [] })
  const Result = (await import('@/pages/result/result.vue')).default
  const page = mount(Result)
  const rows = page.findAll('.truth-row').map((row) => row.text())
  expect(rows[0]).toContain('已经付了')
  expect(rows[1]).toContain('正在充到卡里')
  expect(page.text()).not.toContain('已经到账')
  page.unmount()
})
