/** Ask, after a press, whether WeChat may send the receipt. Never a condition for anything. */
import { acceptMessages, sandboxPhone, templates, type Template } from './api'
import { whereWeAre } from './session'

/** True when at least one message was accepted, and the server knows it. */
export async function askForReceipt(): Promise<boolean> {
  const offered = (await templates()).filter((one) => one.template_id)
  if (!offered.length) return false
  const answers = await ask(offered.map((one) => one.template_id))
  const accepted = offered.filter((one: Template) => answers[one.template_id] === 'accept').map((one) => one.name)
  if (!accepted.length) return false
  await acceptMessages(accepted)
  return true
}

async function ask(ids: string[]): Promise<Record<string, string>> {
  if ((await whereWeAre()).sandbox) return sandboxPhone.subscribe(ids)
  // #ifdef MP-WEIXIN
  return new Promise((resolve) => {
    uni.requestSubscribeMessage({
      tmplIds: ids,
      success: (answers) => resolve(answers as unknown as Record<string, string>),
      fail: () => resolve({}),
    })
  })
  // #endif
  // #ifndef MP-WEIXIN
  return {}
  // #endif
}
