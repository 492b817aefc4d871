/** Every Chinese word the client itself shows or speaks. Words about the business come from the server. */
import words from './zh-CN.json'

export const copy = words

/** Put values into a sentence: `fill("第{at}步", { at: 1 })`. An unknown name is a fault of ours. */
export function fill(sentence: string, values: Record<string, string | number>): string {
  return sentence.replace(/\{(\w+)\}/g, (_all, name: string) => {
    if (!(name in values)) throw new TypeError('no value for {' + name + '}')
    return String(values[name])
  })
}
