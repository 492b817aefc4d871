/**
 * One press at a time, for the whole app. A second press while the first is still on its way is dropped,
 * and so is the second half of a double tap that lands on a button of the screen that has just arrived.
 */
import { ref } from 'vue'

export const SETTLE_MILLISECONDS = 500

export const busy = ref(false)

export async function once(work: () => unknown): Promise<void> {
  if (busy.value) return
  busy.value = true
  const pause = new Promise((resolve) => setTimeout(resolve, SETTLE_MILLISECONDS))
  try {
    await work()
  } finally {
    await pause
    busy.value = false
  }
}

/** Do something the person did not press here (the phone's own "back"), once a press on its way has landed. */
export async function afterwards(work: () => unknown): Promise<void> {
  while (busy.value) await new Promise((resolve) => setTimeout(resolve, 50))
  await once(work)
}
