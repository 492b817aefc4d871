/** The shapes that cross the wire (docs: /api/docs). Money is whole fen, moments are ISO 8601 in UTC. */
export interface Line { label: string | null; text: string }
export interface Choice { id: string; label: string }
export type Next = 'confirm' | 'face' | 'pay' | 'wait' | 'done' | 'choose' | 'listen'
export type Truth = 'not_paid' | 'paid' | 'waiting_for_card' | 'credited' | 'credited_in_part' | 'going_back' | 'returned' | 'closed'

export interface Order {
  id: string
  state: string
  truth: Truth
  amount_fen: number
  fee_fen: number
  card_id: string
  card_label: string
  read_back: string
  created_at: string
  paid_at: string | null
  promised_at: string | null
  credited_at: string | null
}

export interface Payment {
  timeStamp: string
  nonceStr: string
  package: string
  signType: string
  paySign: string
}

/** Digits to be typed for one way of a check before a payment. */
export interface Entry { way: string; label: string; most: number }

export interface Screen {
  say: string
  title: string
  body: Line[]
  choices: Choice[]
  next: Next
  step: { at: number; of: number } | null
  order?: Order | null
  payment?: Payment | null
  entry?: Entry | null
}

export interface Understood {
  intent: string
  amount_fen: number | null
  card_index: number | null
  decision: string
  confidence: number
}

export interface Turn {
  conversation_id: string
  version: number
  heard?: string[]
  understood?: Understood | null
  may_listen: boolean
  screen: Screen
}

export interface Card { id: string; label: string; last_four: string; balance_fen: number | null }
export interface OrderPage { order: Order; screen: Screen }
export interface HistoryPage { orders: Order[]; screen: Screen; next_before: string | null }
export interface About { sandbox: boolean; city: string; hotline?: string }
export interface Session { token: string; expires_at: string; user_id: string; screen: Screen }

/** A file on its way to the server: a browser has a File, WeChat a path. `id` names it for its client key. */
export interface Upload { id: string; path: string; file?: File }
