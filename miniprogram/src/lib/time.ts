/** Moments as people in the city say them. The city lives at UTC+8 all year, whatever the phone is set to. */
import { copy, fill } from '@/copy'

const SHANGHAI_MILLISECONDS = 8 * 3600 * 1000

/** `"2026-11-23T11:05:00Z" -> "11月23日 19:05"`; an empty string for something that is no moment. */
export function moment(iso: string): string {
  const at = Date.parse(iso)
  if (Number.isNaN(at)) return ''
  const there = new Date(at + SHANGHAI_MILLISECONDS)
  const two = (n: number) => String(n).padStart(2, '0')
  const day = fill(copy.time.monthDay, { month: there.getUTCMonth() + 1, day: there.getUTCDate() })
  return day + ' ' + fill(copy.time.clock, { hour: two(there.getUTCHours()), minute: two(there.getUTCMinutes()) })
}
