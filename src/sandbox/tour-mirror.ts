/**
 * The image that the mirror of a sandbox brings: it arrives in QCI, and is pulled through the proxy.
 */
import type { SandboxMirror } from './mirror/mirror.ts'
import { mirroredImage } from './mirror/mirror.ts'
import type { Person } from './people.ts'
import { named } from './pull.ts'
import { mayPull } from './sample-pulls.ts'
import type { Sandbox } from './sandbox.ts'
import { showPull, type TourPullsOptions } from './tour-pulls.ts'

type Source = Pick<Sandbox, 'url' | 'kubernetes'> & { readonly mirror: SandboxMirror }

/** Milliseconds for a copy over loopback. */
const arrivalMs = 20_000

/** @returns whether the image has arrived, and could be pulled if somebody has access */
export const showMirrored = async (sandbox: Source, options: TourPullsOptions): Promise<boolean> => {
  const { people, print, signal } = options
  const { source, repository, tag } = mirroredImage
  print(`\nThe mirror copies ${source} to ${repository}:${tag}`)
  const state = await sandbox.mirror.arrived(AbortSignal.any([signal, AbortSignal.timeout(arrivalMs)]))
  if (state !== 'same') {
    print(`  it has not arrived: ${state}`)
    return false
  }
  const person = people.find(({ token }) => mayPull(sandbox.kubernetes, token, mirroredImage))
  if (person === undefined) {
    print('  it has arrived; nobody here may pull it')
    return true
  }
  return await showPull(sandbox, { ...options, person, image: mirroredImage })
}

/** The command for the first person whom RBAC lets look at the image in the mirror. */
export const mirrorCommand = async (
  { url }: Pick<Sandbox, 'url'>,
  people: readonly Person[],
): Promise<readonly string[]> => {
  const page = `${url}/mirrors/${mirroredImage.target}`
  for (const { username, token } of people) {
    const { status, body } = await fetch(page, { headers: { ...named, authorization: `Bearer ${token}` } })
    await body?.cancel()
    if (status === 200)
      return ['', `  # what the mirror says, for ${username}`, `  curl -u x:${token} ${page}`]
  }
  return []
}
