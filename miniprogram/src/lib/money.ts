/** Money is whole fen. This is where it becomes text; no division, so no rounding can creep in. */
import { copy, fill } from '@/copy'

/** `5000 -> "50"`, `3050 -> "30.50"`. RangeError for anything that is not a whole, safe number of fen. */
export function digits(fen: number): string {
  if (!Number.isSafeInteger(fen)) throw new RangeError('fen must be a whole number')
  const text = String(Math.abs(fen)).padStart(3, '0')
  const whole = text.slice(0, -2)
  const cents = text.slice(-2)
  return (fen < 0 ? '-' : '') + whole + (cents === '00' ? '' : '.' + cents)
}

/** `5000 -> "50元"`. */
export function yuan(fen: number): string {
  return fill(copy.money.yuan, { n: digits(fen) })
}
