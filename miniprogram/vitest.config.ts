import path from 'node:path'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

/** Keep the H5 branches of uni's conditional comments and drop the others: what uni itself does before compiling. */
const keepH5 = {
  name: 'keep-h5',
  enforce: 'pre' as const,
  transform(code: string, id: string) {
    if (!id.includes('/src/')) return
    const block = /(?:\/\/|<!--|\/\*) #(ifdef|ifndef) ([^\n]*?)(?: -->| \*\/)?\n([\s\S]*?)(?:\/\/|<!--|\/\*) #endif[^\n]*/g
    return code.replace(block, (_all, kind, platforms, body) => {
      const named = platforms.split(/\s*\|\|\s*/).includes('H5')
      return named === (kind === 'ifdef') ? body : ''
    })
  },
}

export default defineConfig({
  plugins: [
    keepH5,
    vue({ template: { compilerOptions: { isCustomElement: (tag) => ['view', 'text'].includes(tag) } } }),
  ],
  resolve: {
    alias: { '@dcloudio/uni-app': path.resolve('tests/support/uni-app.ts'), '@': path.resolve('src') },
  },
  test: { environment: 'jsdom', include: ['tests/**/*.test.ts', 'tests/**/*.test.js'] },
})
