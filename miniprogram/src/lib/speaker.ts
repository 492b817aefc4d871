/**
 * The only place that speaks. A browser reads aloud with a voice of the phone itself: a voice that lives on
 * somebody's server would send them what we say, so those are never used. WeChat shows the text for now;
 * its voice will come from our own server and be played here.
 */
// #ifdef H5
const synth: SpeechSynthesis | undefined = typeof window === 'undefined' ? undefined : window.speechSynthesis
const START_MILLISECONDS = 3000

/** A Chinese voice on the phone; `null` where only remote ones exist; `undefined` where the list is empty. */
function voice(voices: SpeechSynthesisVoice[]): SpeechSynthesisVoice | null | undefined {
  const chinese = voices.filter((one) => /^(zh|cmn)/i.test(one.lang))
  const mainland = (one: SpeechSynthesisVoice) => /CN|Hans/i.test(one.lang)
  const here = chinese.filter((one) => one.localService)
  return here.find(mainland) ?? here[0] ?? (voices.length ? null : undefined)
}

function sayInBrowser(text: string): Promise<boolean> {
  if (!synth) return Promise.resolve(false)
  synth.cancel()
  const chosen = voice(synth.getVoices())
  if (chosen === null) return Promise.resolve(false)
  const words = new SpeechSynthesisUtterance(text)
  words.lang = 'zh-CN'
  words.rate = 0.9 // a little slower than the browser's own pace
  if (chosen) words.voice = chosen
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(false), START_MILLISECONDS)
    words.onstart = () => {
      clearTimeout(late)
      resolve(true)
    }
    words.onerror = () => {
      clearTimeout(late)
      resolve(false)
    }
    synth.speak(words)
  })
}
// #endif

/** Whether a button "hear it" makes sense here. */
export function canSpeak(): boolean {
  // #ifdef H5
  return !!synth
  // #endif
  // #ifndef H5
  return false
  // #endif
}

/** Read aloud, stopping what was being read. Resolves true once it is heard, false when it cannot be. */
export function say(text: string): Promise<boolean> {
  // #ifdef H5
  return sayInBrowser(text)
  // #endif
  // #ifndef H5
  return Promise.resolve(false)
  // #endif
}

/** Be quiet at once: the person is about to speak, or has moved on. */
export function hush(): void {
  // #ifdef H5
  synth?.cancel()
  // #endif
}
