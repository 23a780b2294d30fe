/**
 * Each person of a sandbox pulls each sample image through the proxy. Each result is compared with RBAC.
 */
import type { Person } from './people.ts'
import { pull, PullError } from './pull.ts'
import { mayPull, sampleImages, type SampleImage } from './sample-pulls.ts'
import type { Sandbox } from './sandbox.ts'

export interface TourPullsOptions {
  readonly people: readonly Person[]
  readonly print: (line: string) => void
  /** Whether each digest, and the words of each refusal, are printed. */
  readonly verbose: boolean
  readonly signal: AbortSignal
}

type Source = Pick<Sandbox, 'url' | 'kubernetes'>

/** @returns whether every pull ended as RBAC says */
export const showPulls = async (sandbox: Source, options: TourPullsOptions): Promise<boolean> => {
  const { people, print, signal } = options
  let succeeded = true
  for (const person of people) {
    print(`\n${person.username}, ${person.who}, pulls`)
    for (const image of sampleImages) {
      signal.throwIfAborted()
      if (!(await showPull(sandbox, { ...options, person, image }))) succeeded = false
    }
  }
  return succeeded
}

/** One pull, compared with RBAC. */
export const showPull = async (
  sandbox: Source,
  { person, image, print, verbose }: TourPullsOptions & { person: Person; image: SampleImage },
): Promise<boolean> => {
  const { status, text, details } = await attempt(sandbox.url, person, image)
  const isExpected = (status === 200) === mayPull(sandbox.kubernetes, person.token, image)
  const remark = status !== 200 && isExpected ? ', as it should be' : ''
  print(`  ${`${image.repository}:${image.tag}`.padEnd(nameWidth)}  ${text}${remark}`)
  if (verbose || !isExpected) for (const line of details) print(`      ${line}`)
  if (!isExpected) print(`      RBAC says that this has to ${status === 200 ? 'be refused' : 'succeed'}`)
  return isExpected
}

const nameWidth = Math.max(...sampleImages.map(({ repository, tag }) => repository.length + 1 + tag.length))

interface Outcome {
  readonly status: number
  readonly text: string
  readonly details: readonly string[]
}

const attempt = async (
  registry: string,
  { username, token: password }: Person,
  { repository, tag: reference }: SampleImage,
): Promise<Outcome> => {
  const details: string[] = []
  const onProgress = (line: string): void => void details.push(line)
  try {
    const pulled = await pull({ registry, repository, reference, username, password, onProgress })
    const { platforms, blobs, bytes } = pulled
    const text = `pulled: ${platforms.length} platforms, ${blobs} blobs, ${bytes} bytes, every digest right`
    return { status: 200, text, details: [`${pulled.digest} for ${platforms.join(', ')}`, ...details] }
  } catch (error) {
    if (!(error instanceof PullError)) throw error
    return { status: error.status, text: 'refused', details: [error.message] }
  }
}
