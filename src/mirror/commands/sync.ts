/**
 * `ci-images-mirror sync`: tells the service to copy an image now, and waits until the copy has ended.
 */
import { systemClock } from '../../concurrency/clock.ts'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import type { MirrorIo } from '../io.ts'
import { formatExplanation } from './explain.ts'
import { askService } from './service-client.ts'

const pollMs = 1000
const busy = new Set(['not compared yet', 'different', 'waiting', 'copying', 'backing off'])

/** @returns the exit code: 0 if QCI has the image as configured */
export const syncImage = async ({ url, target = '' }: MirrorArguments, io: MirrorIo): Promise<number> => {
  if (url === undefined)
    throw new ArgumentsError(['sync needs the service that copies: --url=http://HOST:8090'])
  const { clock = systemClock } = io
  let answer = await askService(url, 'POST', target)
  let shown = ''
  while (typeof answer !== 'string' && busy.has(answer.state)) {
    if (shown !== answer.explanation) io.printError(answer.explanation)
    shown = answer.explanation
    const over = Promise.withResolvers<void>()
    const timer = setTimeout(over.resolve, pollMs)
    clock.after(pollMs, over.resolve)
    await over.promise
    clearTimeout(timer)
    answer = await askService(url, 'GET', target)
  }
  if (typeof answer === 'string') {
    io.printError(answer)
    return 1
  }
  io.print(formatExplanation(answer))
  return answer.state === 'same' ? 0 : 1
}
