import t from 'tap'
import { composeMirror } from '../../src/proxy/compose-mirror.ts'

const reviewPath = async () => ({ allowed: false, source: 'live' as const })

await t.test('without a URL there is no mirror', async (test) => {
  test.equal(composeMirror({ mirrorUrl: undefined }, { reviewPath }), undefined)
})

await t.test('with a URL there is one, which sends nothing by itself', async (test) => {
  const composed = composeMirror({ mirrorUrl: new URL('http://127.0.0.1:1') }, { reviewPath })
  test.equal(composed?.reviewPath, reviewPath)
  await composed?.mirror.close()
})
