/** uni's page life in plain Vue, for mounting pages outside uni: loading and showing happen when mounted. */
import { onMounted, onUnmounted } from 'vue'

type Hook = (query?: Record<string, string>) => void

export const onLoad = (hook: Hook) => onMounted(() => hook({}))
export const onShow = (hook: Hook) => onMounted(() => hook())
export const onLaunch = (hook: Hook) => onMounted(() => hook())
export const onHide = (_hook: Hook) => undefined
export const onUnload = (hook: Hook) => onUnmounted(() => hook())
