/** Attributes that WeChat's elements have and a browser's do not: with these named, vue-tsc can check every template strictly. */
import 'vue'

declare module '@vue/runtime-dom' {
  interface HTMLAttributes {
    'hover-class'?: string
    'hover-stay-time'?: number
    'aria-role'?: string
  }
}
