/**
 * `ci-images-mirror explain`: why QCI has an image as configured, or why not. It asks the service, or reads the registries itself.
 */
import type { MirrorArguments } from '../arguments.ts'
import type { MirrorIo } from '../io.ts'
import { explain, notListed, type Explanation } from '../status/explanation.ts'
import { ImageBook } from '../status/image-book.ts'
import { openMirror, readDesired } from './local-mirror.ts'
import { readConfig } from './read-files.ts'
import { askService } from './service-client.ts'

/** @returns the exit code: 0 if QCI has the image as configured */
export const explainImage = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  const target = args.target as string
  const answer = args.url === undefined ? await look(args, io) : await askService(args.url, 'GET', target)
  if (typeof answer === 'string') {
    io.printError(answer)
    return 1
  }
  io.print(formatExplanation(answer))
  return answer.state === 'same' ? 0 : 1
}

const look = async (args: MirrorArguments, io: MirrorIo): Promise<Explanation | string> => {
  const target = args.target as string
  const config = readConfig(args)
  const { mirror, close } = openMirror(args, io)
  try {
    const desired = await readDesired(args, config)
    const book = new ImageBook((image) => mirror.destinationOf(image))
    book.desire(desired)
    const images = desired.images.filter((image) => image.target === target)
    await mirror.compare({ images }, { found: (finding) => book.found(finding) })
    const status = book.list([]).find((image) => image.target === target)
    return status === undefined ? `${notListed(target, book.list([]))}.` : explain(status, Number)
  } finally {
    await close()
  }
}

/** A line for each field that has a value. */
export const formatExplanation = (explanation: Explanation): string => {
  const rows = [
    ['image', explanation.target],
    ['source', explanation.source],
    ['destination', explanation.destination],
    ['state', explanation.state],
    ['digest', explanation.digest],
    ['compared', explanation.compared_at],
    ['differs since', explanation.differs_since],
    ['copied', explanation.copied_at],
    ['next try', explanation.next_try_at],
  ].filter((row): row is [string, string] => row[1] !== null)
  return [...rows.map(([name, value]) => `${name.padEnd(13)}  ${value}`), '', explanation.explanation].join(
    '\n',
  )
}
