/**
 * What this phone remembers. A private window may refuse to store anything: then the memory lasts as long
 * as the page, which is enough to work.
 */
const PREFIX = 'anxin.'
const fallback = new Map<string, unknown>()

export function recall<T>(name: string): T | undefined {
  if (fallback.has(name)) return fallback.get(name) as T
  try {
    const stored = uni.getStorageSync(PREFIX + name)
    return stored === '' ? undefined : (stored as T)
  } catch {
    return undefined
  }
}

export function remember(name: string, value: unknown): void {
  try {
    uni.setStorageSync(PREFIX + name, value)
    fallback.delete(name)
  } catch {
    fallback.set(name, value)
  }
}

export function forget(name: string): void {
  fallback.delete(name)
  try {
    uni.removeStorageSync(PREFIX + name)
  } catch {
    // Nothing was stored there.
  }
}
