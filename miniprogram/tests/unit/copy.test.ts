import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { copy, fill } from '@/copy'

const sources = (folder: string): string[] =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name)
    if (entry.isDirectory()) return sources(full)
    return /\.(ts|vue)$/.test(entry.name) ? [full] : []
  })

test('what people read stands in the copy file, not in the code', () => {
  const withoutComments = (code: string) => code.replace(/\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->|\/\/ .*/g, '')
  const chinese = (file: string) => /[\u4e00-\u9fff]/.test(withoutComments(fs.readFileSync(file, 'utf8')))
  const scattered = sources('src').filter(chinese)
  expect(scattered).toEqual([])
})

test('every word of the copy file is used', () => {
  const code = sources('src').map((file) => fs.readFileSync(file, 'utf8')).join('\n')
  const unused = Object.entries(copy).flatMap(([group, words]) => {
    if (group === 'truth' || typeof words === 'string') return []
    return Object.keys(words).filter((name) => !code.includes('copy.' + group + '.' + name)).map((name) => group + '.' + name)
  })
  expect(unused).toEqual([])
})

test('a sentence is filled completely or not at all', () => {
  expect(fill('第{at}步，共{of}步', { at: 1, of: 3 })).toBe('第1步，共3步')
  expect(() => fill('第{at}步', {})).toThrow(TypeError)
})

test('every truth the server can tell has words for the money and for the card', () => {
  const truths = ['not_paid', 'paid', 'waiting_for_card', 'credited', 'credited_in_part', 'going_back', 'returned', 'closed']
  expect(Object.keys(copy.truth).sort()).toEqual(truths.sort())
  expect(copy.truth.paid.short).not.toContain('已经到账')
})
