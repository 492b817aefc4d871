/** Every route the client uses, by name. A wish that changes something carries a client key (see keys.ts). */
import { ask, send, Trouble } from './http'
import { keyFor, settled } from './keys'
import { asMe, person } from './session'
import type { Card, HistoryPage, OrderPage, Payment, Screen, Turn, Upload } from './types'

const V1 = '/api/v1'

/** Where the conversation stood when the person answered. */
export interface At { conversation_id?: string; version?: number }

export interface Clip extends Upload { declared?: string }

/**
 * Send a wish under its key. The key is kept when no answer came, so that the retry is the same wish;
 * any answer of the server, a refusal too, settles it.
 */
async function wish<T>(what: string, go: (key: string) => Promise<T>): Promise<T> {
  const key = keyFor(what)
  try {
    const answer = await go(key)
    settled(what)
    return answer
  } catch (trouble) {
    if (trouble instanceof Trouble && trouble.kind === 'server') settled(what)
    throw trouble
  }
}

function read<T>(path: string): Promise<T> {
  return asMe((token) => ask<T>({ method: 'GET', path: V1 + path, token }))
}

function post<T>(path: string, body: object): Promise<T> {
  return asMe((token) => ask<T>({ method: 'POST', path: V1 + path, body, token }))
}

export function whereIAm(): Promise<Turn> {
  return read<Turn>('/screen')
}

export function answerByTouch(choice: string, at: At): Promise<Turn> {
  const what = ['touch', at.conversation_id, at.version, choice].join(' ')
  return wish(what, (client_key) => post<Turn>('/conversation/turns', { client_key, choice, ...at }))
}

export function answerByVoice(clip: Clip, at: At): Promise<Turn> {
  return wish('clip ' + clip.id, (client_key) => {
    const fields: Record<string, string> = { client_key }
    if (at.conversation_id) fields.conversation_id = at.conversation_id
    if (at.version !== undefined) fields.version = String(at.version)
    if (clip.declared) fields.declared = clip.declared
    const path = V1 + '/conversation/turns'
    return asMe((token) => send<Turn>({ path, name: 'audio', upload: clip, fields, token }))
  })
}

export interface Bound { card: Card; screen: Screen }

export function bindByNumber(card_number: string): Promise<Bound> {
  return wish('card ' + card_number, (client_key) => post<Bound>('/cards', { card_number, client_key }))
}

export function bindByPhoto(photo: Upload): Promise<Bound> {
  return wish('photo ' + photo.id, (client_key) =>
    asMe((token) =>
      send<Bound>({ path: V1 + '/cards', name: 'photo', upload: photo, fields: { client_key }, token }),
    ),
  )
}

export function orderNow(id: string): Promise<OrderPage> {
  return read<OrderPage>('/orders/' + id)
}

export function myOrders(before?: string): Promise<HistoryPage> {
  return read<HistoryPage>('/orders' + (before ? '?before=' + before : ''))
}

const ANSWERS: Record<string, { to: string; name: string }> = {
  sms: { to: '/check/sms/answer', name: 'code' },
  desk: { to: '/check/desk/answer', name: 'code' },
  bank_card: { to: '/check/bank-card', name: 'bank_card' },
}

/** Digits typed for one way of a check: they count for this order only. */
export function answerCheck(id: string, way: string, digits: string): Promise<OrderPage> {
  const { to, name } = ANSWERS[way]
  return post<OrderPage>('/orders/' + id + to, { [name]: digits })
}

/** What the payment sheet said: a hint. The server asks WeChat itself and answers with the truth. */
export function paymentSaid(id: string, result: 'ok' | 'cancelled' | 'failed'): Promise<OrderPage> {
  return post<OrderPage>('/orders/' + id + '/payment-result', { result })
}

export interface Template { name: string; template_id: string }

export async function templates(): Promise<Template[]> {
  return (await read<{ templates: Template[] }>('/subscriptions')).templates
}

export function acceptMessages(accepted: string[]): Promise<void> {
  return post<void>('/subscriptions', { accepted })
}

/** The sandbox's phone: what WeChat itself does on a real one. */
export const sandboxPhone = {
  pay: (payment: Payment, action: 'pay' | 'cancel') =>
    ask<{ errMsg: string }>({ method: 'POST', path: '/sandbox/phone/pay', body: { payment, action } }),
  subscribe: (template_ids: string[]) =>
    ask<Record<string, string>>({
      method: 'POST',
      path: '/sandbox/phone/subscribe',
      body: { person: person(), template_ids },
    }),
}
