/**
 * The phone under the client: uni's storage, network and page stack, as WeChat and the browser runtime give
 * them. `network.answer` decides what the far end says; everything that was sent is kept.
 */
import { vi } from 'vitest'

export interface Sent {
  url: string
  method?: string
  data?: any
  header: Record<string, string>
  formData?: Record<string, string>
  name?: string
  files?: { name: string; file: File }[]
}
export type Answer = { status: number; data: unknown; header?: Record<string, string> } | 'lost'

export function plugIn(answer: (sent: Sent, nth: number) => Answer) {
  const stored = new Map<string, string>()
  const sent: Sent[] = []
  const stack = [{ route: 'pages/home/home' }]
  const route = (url: string) => ({ route: url.replace(/^\//, '') })

  function reply(ask: any) {
    const { success, fail, ...rest } = ask
    sent.push(rest)
    const said = answer(rest, sent.length)
    setTimeout(() => {
      if (said === 'lost') fail({ errMsg: 'request:fail' })
      else success({ statusCode: said.status, data: said.data, header: said.header })
    })
  }

  vi.stubGlobal('uni', {
    getStorageSync: (name: string) => (stored.has(name) ? JSON.parse(stored.get(name)!) : ''),
    setStorageSync: (name: string, value: unknown) => stored.set(name, JSON.stringify(value)),
    removeStorageSync: (name: string) => stored.delete(name),
    request: reply,
    uploadFile: (ask: any) => {
      const { success, ...rest } = ask
      reply({ ...rest, success: (got: any) => success({ ...got, data: JSON.stringify(got.data) }) })
    },
    navigateTo: ({ url }: { url: string }) => stack.push(route(url)),
    redirectTo: ({ url }: { url: string }) => stack.splice(-1, 1, route(url)),
    reLaunch: ({ url }: { url: string }) => stack.splice(0, stack.length, route(url)),
    navigateBack: ({ delta }: { delta: number }) => stack.splice(stack.length - delta, delta),
    pageScrollTo: () => undefined,
  })
  vi.stubGlobal('getCurrentPages', () => stack)
  return { stored, sent, stack }
}

/** A small server: about, login and screen always answer; the rest is the test's. */
export function house(rest: (sent: Sent, nth: number) => Answer | undefined) {
  let logins = 0
  return (sent: Sent, nth: number): Answer => {
    const given = rest(sent, nth)
    if (given) return given
    const ok = (data: unknown): Answer => ({ status: 200, data })
    if (sent.url.endsWith('/about')) return ok({ sandbox: true, city: 'guangzhou', hotline: '96900' })
    if (sent.url.endsWith('/phone/login')) return ok({ code: 'a-code' })
    if (sent.url.endsWith('/sessions')) return ok({ token: 'token-' + ++logins, expires_at: '', user_id: 'u', screen: home })
    if (sent.url.endsWith('/screen')) return ok({ conversation_id: 'c1', version: 3, screen: home })
    return { status: 404, data: { code: 'not_found', say: 'nothing here', next: 'choose', request_id: 'r' } }
  }
}

export const home = {
  say: 'home',
  title: 'home',
  body: [],
  choices: [{ id: 'top_up', label: 'top up' }],
  next: 'choose' as const,
  step: null,
}
