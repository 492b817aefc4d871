/** The only place that talks to the network. It knows no routes and no tokens of its own. */
import { apiBase } from '@/config'
import { copy } from '@/copy'
import { reading as aReading, wishing } from './position'
import type { Upload } from './types'

const JSON_MILLISECONDS = 15_000
const UPLOAD_MILLISECONDS = 30_000 // a clip waits for its turn with the recogniser

/** Something went wrong, already in words that can be spoken. `network` means that no answer came. */
export class Trouble extends Error {
  constructor(
    readonly kind: 'network' | 'server' | 'phone',
    readonly say: string,
    readonly next: string = 'choose',
    readonly code: string = kind,
  ) {
    super(code)
  }
}

export interface Ask {
  method: 'GET' | 'POST'
  path: string
  body?: object
  token?: string
}

export interface Send {
  path: string
  name: 'audio' | 'photo'
  upload: Upload
  fields: Record<string, string>
  token?: string
}

function header(token?: string): Record<string, string> {
  return token ? { Authorization: 'Bearer ' + token } : {}
}

function unreachable(reading: boolean): Trouble {
  return new Trouble('network', reading ? copy.network.read : copy.network.turn)
}

/** An answer of ours has a `say`; a proxy's error page has none, and then nobody knows what happened. */
function open<T>(status: number, data: unknown, reading: boolean): T {
  if (status >= 200 && status < 300) return data as T
  const fault = data as { say?: unknown; next?: string; code?: string } | null
  if (fault && typeof fault.say === 'string') throw new Trouble('server', fault.say, fault.next, fault.code)
  throw unreachable(reading)
}

export function ask<T>({ method, path, body, token }: Ask): Promise<T> {
  const reading = method === 'GET'
  const seen = reading ? aReading() : { header: {}, answered: wishing() }
  const more = body ? { ...seen.header, 'Content-Type': 'application/json' } : seen.header
  return new Promise<T>((resolve, reject) => {
    uni.request({
      url: apiBase() + path,
      method,
      data: body,
      header: { ...header(token), ...more },
      timeout: JSON_MILLISECONDS,
      success: (answer) => {
        seen.answered(answer.header)
        try {
          resolve(open<T>(answer.statusCode, answer.data, reading))
        } catch (trouble) {
          reject(trouble)
        }
      },
      fail: () => {
        seen.answered(undefined)
        reject(unreachable(reading))
      },
    })
  })
}

export function send<T>({ path, name, upload, fields, token }: Send): Promise<T> {
  const answered = wishing() // an upload's answer comes without headers
  return new Promise<T>((resolve, reject) => {
    uni.uploadFile({
      url: apiBase() + path,
      // uni's browser runtime refuses `file` without `filePath`, but takes a list.
      ...(upload.file ? { files: [{ name, file: upload.file, uri: '' }] } : { name, filePath: upload.path }),
      formData: fields,
      header: header(token),
      timeout: UPLOAD_MILLISECONDS,
      success: (answer) => {
        answered()
        try {
          resolve(open<T>(answer.statusCode, parse(answer.data), false))
        } catch (trouble) {
          reject(trouble)
        }
      },
      fail: () => {
        answered()
        reject(unreachable(false))
      },
    })
  })
}

function parse(text: unknown): unknown {
  if (typeof text !== 'string') return text
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
