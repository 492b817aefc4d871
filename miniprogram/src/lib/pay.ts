/** Ask WeChat to take the payment. What it answers here is only a hint; the server asks WeChat for the truth. */
import { sandboxPhone } from './api'
import { whereWeAre } from './session'
import type { Payment } from './types'

export type Said = 'ok' | 'cancelled' | 'failed'

/** Who shows the payment sheet: the sandbox's own, WeChat, WeChat's browser, or nobody. */
export type Till = 'sandbox' | 'wechat' | 'bridge' | 'none'

interface Bridge {
  invoke(name: string, parameters: object, done: (answer: { err_msg?: string }) => void): void
}

function bridge(): Bridge | undefined {
  return (globalThis as { WeixinJSBridge?: Bridge }).WeixinJSBridge
}

export async function till(): Promise<Till> {
  if ((await whereWeAre()).sandbox) return 'sandbox'
  // #ifdef MP-WEIXIN
  return 'wechat'
  // #endif
  // #ifdef H5
  return bridge() ? 'bridge' : 'none'
  // #endif
}

/** "requestPayment:fail cancel" and "get_brand_wcpay_request:cancel" are a person who stepped back. */
export function readAnswer(message: string | undefined): Said {
  if (/:ok$/.test(message ?? '')) return 'ok'
  return /cancel/.test(message ?? '') ? 'cancelled' : 'failed'
}

/** Open WeChat's own sheet and wait until it closes. */
export function payInWeChat(payment: Payment): Promise<Said> {
  // #ifdef MP-WEIXIN
  return new Promise((resolve) => {
    uni.requestPayment({
      provider: 'wxpay',
      orderInfo: '',
      ...payment,
      success: () => resolve('ok'),
      fail: (fault: { errMsg?: string }) => resolve(readAnswer(fault.errMsg)),
    })
  })
  // #endif
  // #ifdef H5
  return payByBridge(payment)
  // #endif
}

// #ifdef H5
function payByBridge(payment: Payment): Promise<Said> {
  const page = bridge()
  if (!page) return Promise.resolve('failed')
  // `appId` travels inside the parameters when the server signs for an official account.
  return new Promise((resolve) => {
    page.invoke('getBrandWCPayRequest', payment, (answer) => resolve(readAnswer(answer.err_msg)))
  })
}
// #endif

/** The sandbox's sheet was pressed. */
export async function payInSandbox(payment: Payment, action: 'pay' | 'cancel'): Promise<Said> {
  return readAnswer((await sandboxPhone.pay(payment, action)).errMsg)
}
