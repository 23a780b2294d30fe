import t from 'tap'
import { DiskWait } from '../../src/storage/disk-wait.ts'

await t.test('a disk is too slow if readers wait for it for long, and for most of the time', (test) => {
  const rows = [
    // milliseconds of waiting, of everything else, how busy the event loop was
    [1001, 0, 0.1, true],
    [999, 0, 0.1, false],
    [1500, 700, 0.1, true],
    [1500, 800, 0.1, false],
    [1500, 0, 0.9, false],
  ] as const
  for (const [waitedMs, otherMs, busyness, expected] of rows) {
    let time = 500
    const wait = new DiskWait({ now: () => time, busyness: () => busyness })
    const begunAt = time
    time += waitedMs
    wait.add(begunAt)
    time += otherMs
    test.equal(wait.isTooLong(), expected, `${waitedMs} of ${waitedMs + otherMs} ms, ${busyness}`)
  }
  test.end()
})

await t.test('the event loop of the process is measured unless another measure is given', async (test) => {
  let time = 0
  const wait = new DiskWait({ now: () => time })
  await new Promise((resolve) => setTimeout(resolve, 50))
  time = 2000
  wait.add(0)
  test.type(wait.isTooLong(), 'boolean')
})
