import { expect, test } from 'vitest'
import { digits, yuan } from '@/lib/money'

test('whole fen become yuan without a rounding anywhere', () => {
  expect(digits(5000)).toBe('50')
  expect(digits(3050)).toBe('30.50')
  expect(digits(5)).toBe('0.05')
  expect(digits(0)).toBe('0')
  expect(digits(-1999)).toBe('-19.99')
  expect(digits(90071992547409_91)).toBe('90071992547409.91')
  expect(yuan(20000)).toBe('200元')
})

test('every amount up to a thousand yuan reads back as the same fen', () => {
  for (let fen = 0; fen <= 100_000; fen++) {
    const [whole, cents = '00'] = digits(fen).split('.')
    if (Number(whole) * 100 + Number(cents) !== fen) throw new Error(String(fen))
  }
})

test('anything that is not a whole number of fen is refused', () => {
  for (const wrong of [0.5, NaN, Infinity, 2 ** 53]) expect(() => digits(wrong)).toThrow(RangeError)
})
