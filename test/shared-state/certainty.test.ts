import t from 'tap'
import { Certainty } from '../../src/shared-state/certainty.ts'

await t.test('other replicas need a while to send their facts', (test) => {
  let now = 0
  const certainty = new Certainty(() => now)
  const settles = (name: string) => {
    test.notOk(certainty.isSettled(), name)
    now += 5999
    test.notOk(certainty.isSettled(), name)
    now += 1
    test.ok(certainty.isSettled(), name)
  }
  test.ok(certainty.isSettled(), 'before anything')
  certainty.changed(false)
  certainty.changed(true)
  test.ok(certainty.isSettled(), 'connected for the first time')
  certainty.changed(false)
  test.ok(certainty.isSettled(), 'unavailable: a refusal does not rest on the store')
  certainty.changed(true)
  settles('back')
  certainty.changed(true)
  settles('it takes writes again')
  certainty.doubt()
  settles('emptied')
  test.end()
})
