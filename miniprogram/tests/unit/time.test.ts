import { expect, test } from 'vitest'
import { moment } from '@/lib/time'

test('moments are told in the city, wherever the phone thinks it is', () => {
  expect(moment('2026-11-23T11:05:00Z')).toBe('11月23日 19:05')
  expect(moment('2026-12-31T16:00:00+00:00')).toBe('1月1日 00:00')
  expect(moment('2026-11-23T11:05:00.123456Z')).toBe('11月23日 19:05')
  expect(moment('soon')).toBe('')
})
