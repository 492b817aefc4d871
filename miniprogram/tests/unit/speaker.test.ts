import { afterEach, beforeEach, expect, test, vi } from 'vitest'

interface Words { text: string; lang: string; voice?: { name: string }; onstart?: () => void; onerror?: () => void }

function browser(voices: object[], then: (words: Words) => void = (words) => words.onstart?.()) {
  const spoken: Words[] = []
  const synth = {
    getVoices: () => voices,
    cancel: vi.fn(),
    speak: (words: Words) => {
      spoken.push(words)
      queueMicrotask(() => then(words))
    },
  }
  Object.defineProperty(window, 'speechSynthesis', { value: synth, configurable: true })
  vi.stubGlobal('SpeechSynthesisUtterance', class { constructor(public text: string) {} })
  return { spoken, synth }
}

beforeEach(() => vi.resetModules())
afterEach(() => vi.unstubAllGlobals())

const REMOTE = { name: 'remote', lang: 'zh-CN', localService: false }
const HERE = { name: 'here', lang: 'zh-CN', localService: true }
const CANTONESE = { name: 'hk', lang: 'zh-HK', localService: true }

test('a voice of the phone itself reads aloud, mainland Mandarin before another Chinese', async () => {
  const { spoken } = browser([REMOTE, CANTONESE, HERE])
  const { say } = await import('@/lib/speaker')
  expect(await say('充好了')).toBe(true)
  expect(spoken[0]).toMatchObject({ text: '充好了', lang: 'zh-CN', voice: HERE })
})

test('a voice that lives on somebody’s server is never told what we say', async () => {
  const { spoken } = browser([REMOTE, { name: 'en', lang: 'en-US', localService: true }])
  const { say } = await import('@/lib/speaker')
  expect(await say('充好了')).toBe(false)
  expect(spoken).toEqual([])
})

test('a phone that lists no voices is asked all the same, and its refusal is known', async () => {
  const { spoken, synth } = browser([], (words) => words.onerror?.())
  const { canSpeak, say } = await import('@/lib/speaker')
  expect(canSpeak()).toBe(true)
  expect(await say('充好了')).toBe(false)
  expect(spoken).toHaveLength(1)
  expect(synth.cancel).toHaveBeenCalled() // what was being read before is not read over
})
