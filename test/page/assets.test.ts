import t from 'tap'
import { script, style } from '../../src/page/assets.ts'

await t.test('neither the style nor the script ends its element or loads anything', async (test) => {
  for (const text of [style, script]) test.notMatch(text, /<\/|url\(|@import|import\(|fetch\(/)
})
