/** Who is holding the phone. Logging in is silent: nobody types a password here. */
import { channel } from '@/config'
import { copy } from '@/copy'
import { ask, Trouble } from './http'
import { uuid } from './keys'
import { forget, recall, remember } from './storage'
import type { About, Session } from './types'

let about: Promise<About> | undefined
let opening: Promise<string> | undefined

/** Which city this is, and whether the sandbox stands in for WeChat. Asked once; a failure is asked again. */
export function whereWeAre(): Promise<About> {
  about ??= ask<About>({ method: 'GET', path: '/api/v1/about' }).catch((trouble) => {
    about = undefined
    throw trouble
  })
  return about
}

/** This browser's own person in the sandbox, kept so that a reload is the same person. */
export function person(): string {
  const known = recall<string>('person')
  if (known) return known
  const name = 'browser-' + uuid().slice(0, 8)
  remember('person', name)
  return name
}

/** What this installation calls itself: random, made once, so that a login from another one can be told. */
export function device(): string {
  const known = recall<string>('device')
  if (known) return known
  const name = uuid()
  remember('device', name)
  return name
}

export function token(): string | undefined {
  return recall<string>('token')
}

/** A fresh session. Callers at the same moment share one login. */
export function login(): Promise<string> {
  forget('token')
  opening ??= open().finally(() => {
    opening = undefined
  })
  return opening
}

async function open(): Promise<string> {
  const { sandbox } = await whereWeAre()
  const code = sandbox ? await sandboxCode() : await wechatCode()
  const session = await ask<Session>({
    method: 'POST',
    path: '/api/v1/sessions',
    body: { code, channel: channel(), device: device() },
  })
  remember('token', session.token)
  return session.token
}

async function sandboxCode(): Promise<string> {
  const answer = await ask<{ code: string }>({
    method: 'POST',
    path: '/sandbox/phone/login',
    body: { person: person() },
  })
  return answer.code
}

function wechatCode(): Promise<string> {
  // #ifdef MP-WEIXIN
  return new Promise((resolve, reject) => {
    uni.login({
      provider: 'weixin',
      success: (answer) => resolve(answer.code),
      fail: () => reject(new Trouble('phone', copy.network.expired)),
    })
  })
  // #endif
  // #ifndef MP-WEIXIN
  return pageCode()
  // #endif
}

/** Inside WeChat the page is opened with WeChat's own one-time code in its address; anywhere else there is none. */
export async function pageCode(): Promise<string> {
  const code = typeof location === 'undefined' ? null : new URLSearchParams(location.search).get('code')
  if (!code) throw new Trouble('phone', copy.login.elsewhere)
  return code
}

/** Run a call with this person's token; when the server says it is over, log in again once, silently. */
export async function asMe<T>(call: (token: string) => Promise<T>): Promise<T> {
  const known = token() ?? (await login())
  try {
    return await call(known)
  } catch (trouble) {
    if (!(trouble instanceof Trouble) || trouble.next !== 'login') throw trouble
  }
  return call(await login())
}
