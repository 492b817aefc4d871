/**
 * Where the server is. The H5 page is served by the server itself, so it always asks its own origin.
 * The WeChat package has no origin: set VITE_ANXIN_API (https, listed in the mini-program's request
 * domains) when building it. Without it the package talks to `make run` from WeChat's developer tool.
 */
export function apiBase(): string {
  // #ifdef MP-WEIXIN
  return import.meta.env.VITE_ANXIN_API ?? 'http://127.0.0.1:8000'
  // #endif
  // #ifndef MP-WEIXIN
  return ''
  // #endif
}

export function channel(): 'mini_program' | 'h5' {
  // #ifdef MP-WEIXIN
  return 'mini_program'
  // #endif
  // #ifndef MP-WEIXIN
  return 'h5'
  // #endif
}
