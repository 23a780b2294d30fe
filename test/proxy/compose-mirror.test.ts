import t from 'tap'
import { composeMirror } from '../../src/proxy/compose-mirror.ts'
import { alice } from '../registry/fakes.ts'

const reviewPath = async () => ({ allowed: false, source: 'live' as const })

await t.test('without a URL there is no mirror', async (test) => {
  test.equal(composeMirror({ mirrorUrl: undefined }, { reviewPath }), undefined)
})

await t.test('with a URL there is one, whose rights are those of RBAC', async (test) => {
  const composed = composeMirror({ mirrorUrl: new URL('http://127.0.0.1:1') }, { reviewPath })
  await test.rejects(composed!.rights.require(alice, 'get'), { code: 'DENIED' })
  test.strictSame(composed!.state.current(), { name: 'mirror', page: '/mirrors', state: 'unknown' })
  await composed!.mirror.close()
})
