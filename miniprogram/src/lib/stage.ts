/**
 * What is on stage: the server's screen, and nothing the client made up. Pages read it, presses send an
 * answer and the next screen replaces it.
 */
import { reactive } from 'vue'
import { copy } from '@/copy'
import { answerByTouch, answerByVoice, whereIAm, type At, type Clip } from './api'
import { Trouble } from './http'
import { go, open } from './pages'
import { whereWeAre } from './session'
import { hush, say } from './speaker'
import { recall, remember } from './storage'
import type { About, Screen, Turn } from './types'

export interface Complaint { say: string; retry?: () => Promise<void> }

interface Stage {
  screen: Screen | null
  heard: string
  complaint: Complaint | null
  about: About | null
  at: At
  mayListen: boolean // the person agreed to be heard
  large: boolean
  eager: boolean // the microphone was asked for by a press, not by a page that happened to open
}

export const stage = reactive<Stage>({
  screen: null,
  heard: '',
  complaint: null,
  about: null,
  at: {},
  mayListen: false,
  large: false,
  eager: false,
})

/** Put a screen on stage, open its page and read it aloud. */
export function show(screen: Screen, heard = ''): void {
  stage.screen = screen
  stage.heard = heard
  stage.complaint = null
  go(screen)
  void say(screen.say)
}

function showTurn(turn: Turn): void {
  stage.at = { conversation_id: turn.conversation_id, version: turn.version }
  stage.mayListen = turn.may_listen
  show(turn.screen, turn.heard?.[0] ?? '')
}

/** Say what went wrong, in the words it came with. */
export function complain(trouble: unknown, retry?: () => Promise<void>): void {
  const known = trouble instanceof Trouble
  if (!known) console.error(trouble)
  stage.complaint = {
    say: known ? trouble.say : copy.network.odd,
    // A refusal stands, except where nothing else could be pressed.
    retry: known && trouble.kind === 'server' && stage.screen ? undefined : retry,
  }
  void say(stage.complaint.say)
}

/** Do something that may fail; what was on stage stays there. True when it went well. */
export async function attempt(work: () => Promise<void>): Promise<boolean> {
  stage.complaint = null
  hush()
  try {
    await work()
    return true
  } catch (trouble) {
    complain(trouble, async () => void (await attempt(work)))
    return false
  }
}

/** Open the app, or come back to it: the server knows where this person is. */
export function arrive(): Promise<boolean> {
  stage.large = recall<boolean>('large') ?? largeByPhone()
  return attempt(async () => {
    stage.about = await whereWeAre()
    showTurn(await whereIAm())
  })
}

/** A button of the screen was pressed. A refused answer may have moved the conversation: show where it is now. */
export function choose(choice: string): Promise<boolean> {
  const at = { ...stage.at }
  return attempt(async () => {
    try {
      showTurn(await answerByTouch(choice, at))
    } catch (trouble) {
      if (trouble instanceof Trouble && trouble.kind === 'server') await lookAgain()
      throw trouble
    }
  })
}

async function lookAgain(): Promise<void> {
  try {
    const turn = await whereIAm()
    stage.at = { conversation_id: turn.conversation_id, version: turn.version }
    stage.screen = turn.screen
    stage.heard = ''
    go(turn.screen)
  } catch {
    // The refusal itself is what the person must hear.
  }
}

/** Something was said. The caller keeps the clip: a retry sends the same one under the same key. */
export async function speak(clip: Clip): Promise<void> {
  showTurn(await answerByVoice(clip, { ...stage.at }))
}

/** The press that opens the listening page is the press that starts it. Nobody listens before it was agreed to. */
export function toListen(): void {
  if (!stage.mayListen) {
    void choose('ask_voice')
    return
  }
  stage.eager = true
  open('listen')
}

export function enlarge(large: boolean): void {
  stage.large = large
  remember('large', large)
}

/** WeChat's own care mode is a text size of 22 px and above; a browser scales the page by itself. */
function largeByPhone(): boolean {
  // #ifdef MP-WEIXIN
  return ((uni.getAppBaseInfo() as { fontSizeSetting?: number }).fontSizeSetting ?? 0) >= 22
  // #endif
  // #ifndef MP-WEIXIN
  return false
  // #endif
}
