/** Which page shows which screen, and how to get there. Home is always the bottom of the stack. */
import type { Screen } from './types'

export type Page = 'home' | 'listen' | 'confirm' | 'pay' | 'result' | 'history' | 'card' | 'code'

/** Home itself: it offers the top-up and no way home. */
export function isHome(screen: Screen): boolean {
  const ids = screen.choices.map((choice) => choice.id)
  return ids.includes('top_up') && !ids.includes('home')
}

export function pageFor(screen: Screen): Page {
  if (screen.entry) return 'code'
  if (screen.next === 'confirm') return 'confirm'
  if (screen.next === 'pay') return 'pay'
  if (screen.order && (screen.next === 'wait' || screen.next === 'done')) return 'result'
  const ids = screen.choices.map((choice) => choice.id)
  if (ids.includes('bind_card') && !ids.includes('top_up')) return 'card'
  return 'home'
}

/** Choices that open a page of the client's own instead of asking the conversation. */
export const OWN_PAGES: Record<string, Page> = { bind_card: 'card', history: 'history' }

export function go(screen: Screen): void {
  open(pageFor(screen))
}

function route(page: Page): string {
  return 'pages/' + page + '/' + page
}

/** The page the person is looking at. */
export function onTop(): Page | undefined {
  const stack = getCurrentPages()
  return stack[stack.length - 1]?.route?.split('/').pop() as Page | undefined
}

/** Open a page over home, in place of whatever else lay there: the phone's own "back" leads home. */
export function open(page: Page): void {
  const stack = getCurrentPages()
  const top = onTop()
  const bottom = stack[0]?.route
  const url = '/' + route(page)
  if (top === page) return
  if (page === 'home') {
    if (bottom === route('home')) uni.navigateBack({ delta: stack.length - 1 })
    else uni.reLaunch({ url })
  } else if (top === 'home') uni.navigateTo({ url })
  else uni.redirectTo({ url })
}
