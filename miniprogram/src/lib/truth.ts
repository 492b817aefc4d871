/** The sign beside a truth: words and shape carry it, colour only helps. */
const SIGNS: Record<string, string> = { yes: 'check', wait: 'wait', no: 'minus', back: 'back' }

export function markOf(mark: string): string {
  return SIGNS[mark] ?? 'minus'
}
