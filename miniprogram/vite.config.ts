import { defineConfig } from 'vite'
import uniModule from '@dcloudio/vite-plugin-uni'

// The package is CommonJS with a `default` inside its default export.
const uni = (uniModule as unknown as { default?: typeof uniModule }).default ?? uniModule
const forWeChat = (process.env.UNI_PLATFORM ?? 'h5').startsWith('mp-')
const ELEMENT = 1
const ATTRIBUTE = 6
const DIRECTIVE = 7

/**
 * One source for both screen readers. We write `role` once: WeChat wants it as `aria-role`, and a browser
 * sees uni's <button> as an unknown element, so it is given the role and a place in the tab order.
 */
function accessible(node: any) {
  if (node.type !== ELEMENT) return
  if (forWeChat) {
    for (const prop of node.props) {
      if (prop.type === ATTRIBUTE && prop.name === 'role') prop.name = 'aria-role'
      if (prop.type === DIRECTIVE && prop.name === 'bind' && prop.arg?.content === 'role') prop.arg.content = 'aria-role'
    }
    node.props = node.props.filter((prop: any) => !(prop.type === ATTRIBUTE && prop.name === 'tabindex'))
    return
  }
  if (node.tag !== 'button') return
  const add = (name: string, content: string) => {
    if (node.props.some((prop: any) => prop.name === name || prop.arg?.content === name)) return
    const value = { type: 2, content, loc: node.loc }
    node.props.push({ type: ATTRIBUTE, name, nameLoc: node.loc, value, loc: node.loc })
  }
  add('role', 'button')
  add('tabindex', '0')
}

/** uni's browser runtime carries an advertisement SDK's addresses and one remote picture; our page calls nobody but us. */
function noThirdParty() {
  const strip = (text: string) =>
    text
      .replace(/https:\/\/cdn\.dcloud\.net\.cn\/img\/shadow-grey\.png/g, 'data:,')
      .replace(/https:\/\/ha[cs]1\.dcloud\.net\.cn\/[a-z0-9]+/g, 'about:blank')
  return {
    name: 'no-third-party',
    enforce: 'post' as const,
    apply: 'build' as const,
    generateBundle(_options: unknown, bundle: Record<string, any>) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk') file.code = strip(file.code)
        else if (typeof file.source === 'string') file.source = strip(file.source)
      }
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [
    uni({ vueOptions: { template: { compilerOptions: { nodeTransforms: [accessible] } } } }),
    noThirdParty(),
  ],
  build: { target: 'es2018' },
})
