import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { busy, once, SETTLE_MILLISECONDS } from '@/lib/once'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a second press is dropped while the first is on its way, and for half a second after a quick answer', async () => {
  const first = vi.fn(async () => undefined)
  const second = vi.fn()
  void once(first)
  void once(second)
  await vi.advanceTimersByTimeAsync(SETTLE_MILLISECONDS - 1)
  void once(second)
  expect(first).toHaveBeenCalledOnce()
  expect(second).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  void once(second)
  expect(second).toHaveBeenCalledOnce()
  await vi.advanceTimersByTimeAsync(SETTLE_MILLISECONDS)
})

test('a press that fails frees the buttons again', async () => {
  const failed = once(() => Promise.reject(new Error('no'))).catch(() => 'failed')
  await vi.advanceTimersByTimeAsync(SETTLE_MILLISECONDS)
  expect(await failed).toBe('failed')
  expect(busy.value).toBe(false)
})
