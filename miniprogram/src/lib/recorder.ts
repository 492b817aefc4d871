/** One microphone; WeChat records through its RecorderManager, a browser through MediaRecorder. */
import type { Clip } from './api'
import { uuid } from './keys'

export const MOST_SECONDS = 9

/** `denied`: the person or the phone said no. `unsupported`: there is nothing to record with. */
export class NoMicrophone extends Error {
  constructor(readonly reason: 'denied' | 'unsupported') {
    super(reason)
  }
}

export interface Recorder {
  /** Resolves when sound is being taken down. `level` is called about ten times a second with 0…1, where the phone tells it. */
  start(level: (now: number) => void): Promise<void>
  /** The clip so far; the microphone is off afterwards. */
  stop(): Promise<Clip>
  /** Throw everything away and switch the microphone off. */
  cancel(): void
}

// #ifdef MP-WEIXIN
function wechatRecorder(): Recorder {
  const manager = uni.getRecorderManager()
  return {
    start: () =>
      new Promise((resolve, reject) => {
        manager.onStart(() => resolve())
        manager.onError((fault: { errMsg?: string }) => {
          const refused = /auth|deny|denied|permission/i.test(fault.errMsg ?? '')
          reject(new NoMicrophone(refused ? 'denied' : 'unsupported'))
        })
        // 16 kHz mono at 48 kbit/s is what speech recognition needs; the page itself stops before `duration`.
        manager.start({
          duration: (MOST_SECONDS + 1) * 1000,
          sampleRate: 16000,
          numberOfChannels: 1,
          encodeBitRate: 48000,
          format: 'mp3',
        })
      }),
    stop: () =>
      new Promise((resolve) => {
        manager.onStop((file: { tempFilePath: string }) => resolve({ id: uuid(), path: file.tempFilePath }))
        manager.stop()
      }),
    cancel: () => {
      manager.onStop(() => undefined)
      manager.stop()
    },
  }
}
// #endif

// #ifdef H5
const KINDS = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus']
const LEVEL_MILLISECONDS = 100

function browserRecorder(): Recorder {
  let stream: MediaStream | undefined
  let recorder: MediaRecorder | undefined
  let parts: Blob[] = []
  let meter: { stop: () => void } | undefined

  function release() {
    meter?.stop()
    meter = undefined
    stream?.getTracks().forEach((track) => track.stop())
    stream = undefined
  }

  return {
    async start(level) {
      if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === 'undefined') {
        throw new NoMicrophone('unsupported')
      }
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } })
      } catch (fault) {
        const gone = (fault as DOMException).name === 'NotFoundError'
        throw new NoMicrophone(gone ? 'unsupported' : 'denied')
      }
      const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind))
      recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 48_000 })
      parts = []
      recorder.ondataavailable = (event) => {
        if (event.data.size) parts.push(event.data)
      }
      const started = new Promise<void>((resolve) => (recorder!.onstart = () => resolve()))
      recorder.start()
      await started
      meter = measure(stream, level)
    },
    stop() {
      const taking = recorder
      return new Promise((resolve) => {
        const finish = () => {
          release()
          const type = taking?.mimeType || 'audio/webm'
          const name = 'speech.' + (/mp4/.test(type) ? 'm4a' : /ogg/.test(type) ? 'ogg' : 'webm')
          resolve({ id: uuid(), path: '', file: new File(parts, name, { type }) })
        }
        if (!taking || taking.state === 'inactive') return finish()
        taking.onstop = finish
        taking.stop()
      })
    },
    cancel() {
      if (recorder && recorder.state !== 'inactive') recorder.stop()
      parts = []
      release()
    },
  }
}

/** How loud it is, as the ear counts: 0 at -50 dB and below, 1 at full scale. */
function measure(stream: MediaStream, level: (now: number) => void): { stop: () => void } {
  if (typeof AudioContext === 'undefined') return { stop: () => undefined }
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  analyser.fftSize = 1024
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    level(loudness(samples))
  }, LEVEL_MILLISECONDS)
  return {
    stop() {
      clearInterval(timer)
      void context.close()
    },
  }
}
// #endif

/** Root mean square on a decibel scale, -50 dB…0 dB as 0…1. */
export function loudness(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const decibels = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12)
  return Math.min(1, Math.max(0, 1 + decibels / 50))
}

export function createRecorder(): Recorder {
  // #ifdef MP-WEIXIN
  return wechatRecorder()
  // #endif
  // #ifdef H5
  return browserRecorder()
  // #endif
}
