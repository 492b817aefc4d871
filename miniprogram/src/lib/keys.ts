/**
 * Client keys. One wish has one key, written down before it is sent, so that a retry, an impatient second
 * press or a page reloaded in the middle is the same wish to the server and never a second top-up.
 */
import { recall, remember } from './storage'

const NAME = 'keys'
const MOST = 20 // wishes without an answer; the oldest is dropped first

type Open = [what: string, key: string][]

function open(): Open {
  const stored = recall<Open>(NAME)
  return Array.isArray(stored) ? stored : []
}

/** A random name of 36 characters. `crypto.randomUUID` is missing on plain-http pages and in WeChat. */
export function uuid(): string {
  const source: Crypto | undefined = typeof crypto === 'undefined' ? undefined : crypto
  if (source?.randomUUID) return source.randomUUID()
  const bytes = new Uint8Array(16)
  if (source?.getRandomValues) source.getRandomValues(bytes)
  else for (let i = 0; i < 16; i++) bytes[i] = Math.floor(Math.random() * 256)
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The key of a wish: the one it already has, or a new one, stored before this returns. */
export function keyFor(what: string): string {
  const waiting = open()
  const known = waiting.find(([wish]) => wish === what)
  if (known) return known[1]
  const key = uuid()
  remember(NAME, [...waiting, [what, key]].slice(-MOST))
  return key
}

/** The server has answered this wish: the next press is a new one. */
export function settled(what: string): void {
  remember(NAME, open().filter(([wish]) => wish !== what))
}
