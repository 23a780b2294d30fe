import t from 'tap'
import { mirrorQueryOf } from '../../../src/page/mirror-queue/mirror-query.ts'
import { thrown } from '../../support/thrown.ts'

await t.test('the filters of the mirror', async (test) => {
  test.equal(mirrorQueryOf({}), 'action=show&limit=100')
  test.equal(
    mirrorQueryOf({ limit: '5', owner: 'a&b', state: 'backing off', target: 'ocp/ubi:9' }),
    'action=show&limit=5&owner=a%26b&state=backing+off&target=ocp%2Fubi%3A9',
  )
  test.equal(mirrorQueryOf({ limit: '', state: '' }), 'action=show&limit=100', 'empty fields of a form')
  test.equal(mirrorQueryOf({ limit: '1000' }), 'action=show&limit=1000')
})

await t.test('other parameters are refused', async (test) => {
  const rows = [
    [{ stat: 'dead' }, 'the parameters are limit, owner, state and target'],
    [{ action: 'x' }, 'the parameters are limit, owner, state and target'],
    [{ state: ['a', 'b'] }, 'give state once, with 700 characters at most'],
    [{ state: 'a'.repeat(701) }, 'give state once, with 700 characters at most'],
    [{ limit: '0' }, 'limit is a number from 1 to 1000'],
    [{ limit: '1001' }, 'limit is a number from 1 to 1000'],
    [{ limit: '-1' }, 'limit is a number from 1 to 1000'],
    [{ limit: '1e3' }, 'limit is a number from 1 to 1000'],
  ] as const
  for (const [given, message] of rows)
    test.match(
      thrown(() => mirrorQueryOf(given)),
      { status: 400, code: 'UNSUPPORTED', message },
    )
})
