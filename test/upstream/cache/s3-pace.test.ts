import t from 'tap'
import { S3Pace } from '../../../src/upstream/cache/s3-pace.ts'

const paceFor = () => {
  const clock = { now: 0 }
  return { clock, pace: new S3Pace(() => clock.now) }
}

await t.test('a trickle is too slow after five seconds of waiting', async (test) => {
  const { clock, pace } = paceFor()
  for (let second = 1; second <= 5; second++) {
    clock.now += 1000
    test.ok(pace.received(1000))
    pace.released()
  }
  clock.now += 1000
  test.notOk(pace.received(1000))
})

await t.test('a slow client does not count', async (test) => {
  const { clock, pace } = paceFor()
  for (let chunk = 0; chunk < 20; chunk++) {
    test.ok(pace.received(100))
    test.ok(pace.received(100))
    clock.now += 60_000
    pace.released()
    pace.released()
  }
})

await t.test('after a long wait, a good rate is enough', async (test) => {
  const { clock, pace } = paceFor()
  clock.now += 6000
  test.ok(pace.received(6000 * 256))
  pace.released()
  clock.now += 1
  test.notOk(pace.received(1))
})
