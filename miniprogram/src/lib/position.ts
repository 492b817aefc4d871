/**
 * How far the server's database had come when it last answered. A reading says it, and is never shown less
 * than this phone has seen; while a wish is under way, or nobody knows what became of one, it says nothing.
 */
export const POSITION = 'X-Anxin-Position'

let known = ''
let wishes = 0 // under way
let age = 0 // grows with every wish; what an older question learns may be older than the wish

function order(position: string): [number, number] {
  const [high, low] = position.split('/')
  return [parseInt(high, 16), parseInt(low, 16)]
}

function later(a: string, b: string): string {
  if (!a || !b) return a || b
  const [[high, low], [otherHigh, otherLow]] = [order(a), order(b)]
  return high > otherHigh || (high === otherHigh && low >= otherLow) ? a : b
}

/** WeChat and browsers spell the names of headers differently. */
function told(header: unknown): string {
  for (const [name, value] of Object.entries(header ?? {})) {
    if (name.toLowerCase() === POSITION.toLowerCase()) return String(value)
  }
  return ''
}

/** A question is about to be sent: what it says, and what to do with its answer's headers. */
export function reading(): { header: Record<string, string>; answered: (header: unknown) => void } {
  const asked = age
  return {
    header: known && !wishes ? { [POSITION]: known } : {},
    answered: (header) => {
      if (asked === age) known = later(known, told(header))
    },
  }
}

/** A wish is about to be sent: what to do with its answer's headers, or without an answer. */
export function wishing(): (header?: unknown) => void {
  age += 1
  wishes += 1
  return (header) => {
    wishes -= 1
    const position = told(header)
    if (!position) age += 1
    known = position ? later(known, position) : ''
  }
}
