import { afterEach, expect, test, vi } from 'vitest'
import { createRecorder, loudness, NoMicrophone } from '@/lib/recorder'

/** The browser's own recorder, in little: it hands over one part of sound when stopped. */
class MediaRecorderInLittle {
  static isTypeSupported = (kind: string) => kind === 'audio/mp4'
  state = 'inactive'
  mimeType: string
  onstart?: () => void
  onstop?: () => void
  ondataavailable?: (event: { data: Blob }) => void
  constructor(_stream: unknown, options: { mimeType?: string }) {
    this.mimeType = options.mimeType ?? ''
  }
  start() {
    this.state = 'recording'
    queueMicrotask(() => this.onstart?.())
  }
  stop() {
    this.state = 'inactive'
    queueMicrotask(() => {
      this.ondataavailable?.({ data: new Blob(['sound']) })
      this.onstop?.()
    })
  }
}

function microphone(open: () => Promise<unknown>) {
  vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: open } })
  vi.stubGlobal('MediaRecorder', MediaRecorderInLittle)
}

afterEach(() => vi.unstubAllGlobals())

test('a recording ends as one named file of the kind the phone can make, with the microphone off', async () => {
  const off = vi.fn()
  microphone(async () => ({ getTracks: () => [{ stop: off }] }))
  const recorder = createRecorder()
  await recorder.start(() => undefined)
  const clip = await recorder.stop()
  expect(clip.file!.name).toBe('speech.m4a')
  expect(clip.file!.type).toBe('audio/mp4')
  expect(clip.file!.size).toBe(5)
  expect(clip.id).not.toBe('')
  expect(off).toHaveBeenCalledOnce()
})

test('a recording thrown away leaves the microphone off', async () => {
  const off = vi.fn()
  microphone(async () => ({ getTracks: () => [{ stop: off }] }))
  const recorder = createRecorder()
  await recorder.start(() => undefined)
  recorder.cancel()
  expect(off).toHaveBeenCalledOnce()
})

test('a person who says no, a phone without a microphone and a browser without a recorder are told apart', async () => {
  const refuse = (name: string) => microphone(() => Promise.reject(new DOMException('', name)))
  refuse('NotAllowedError')
  await expect(createRecorder().start(() => undefined)).rejects.toEqual(new NoMicrophone('denied'))
  refuse('NotFoundError')
  await expect(createRecorder().start(() => undefined)).rejects.toMatchObject({ reason: 'unsupported' })
  vi.stubGlobal('MediaRecorder', undefined)
  await expect(createRecorder().start(() => undefined)).rejects.toMatchObject({ reason: 'unsupported' })
})

test('loudness follows the ear: silence is nothing, full scale is everything', () => {
  expect(loudness(new Float32Array(1024))).toBe(0)
  expect(loudness(new Float32Array(1024).fill(1))).toBe(1)
  const quiet = loudness(new Float32Array(1024).fill(0.01))
  const loud = loudness(new Float32Array(1024).fill(0.1))
  expect(quiet).toBeGreaterThan(0)
  expect(loud).toBeGreaterThan(quiet)
})
