import t from 'tap'
import { S3Circuit } from '../../../src/storage/s3/s3-circuit.ts'
import { failureOf } from './fixtures.ts'
import { S3CircuitOpen, S3Refused, S3Unavailable } from '../../../src/storage/s3/s3-errors.ts'

const rejected = async (failure: Error): Promise<never> => await Promise.reject(failure)

const circuitFor = () => {
  const clock = { now: 0 }
  const changes: boolean[] = []
  const circuit = new S3Circuit({ onChange: (isOpen) => void changes.push(isOpen), now: () => clock.now })
  const fail = async (failure: Error) => await failureOf(circuit.run(async () => await rejected(failure)))
  return { clock, changes, circuit, fail }
}

const turn = async () => await new Promise((resolve) => setImmediate(resolve))

await t.test(
  'three failures in a row open it; a probe closes it, and its answer is dropped',
  async (test) => {
    const { clock, changes, circuit, fail } = circuitFor()
    const down = new S3Unavailable('down')
    for (const _ of [1, 2, 3]) test.equal(await fail(down), down)
    test.ok(circuit.isOpen)
    test.type(await fail(down), S3CircuitOpen)
    clock.now += 1001
    const dropped: string[] = []
    const send = async (isProbe: boolean) => await Promise.resolve(`probe: ${isProbe}`)
    test.type(
      await circuit.run(send, (answer) => dropped.push(answer)).catch((error: unknown) => error),
      S3CircuitOpen,
    )
    await turn()
    test.strictSame(dropped, ['probe: true'])
    test.notOk(circuit.isOpen)
    test.equal(await circuit.run(send, () => test.fail('not dropped')), 'probe: false')
    test.strictSame(changes, [true, false])
  },
)

await t.test('refusals, and callers that leave, are no evidence', async (test) => {
  const { circuit, fail } = circuitFor()
  for (const error of Array.from({ length: 9 }, () => new S3Refused('403'))) await fail(error)
  for (const error of Array.from({ length: 9 }, () => new Error('gone'))) await fail(error)
  test.notOk(circuit.isOpen)
})
