/**
 * The commands with which a user tries the sandbox. They also work if all of them are pasted at once: each login is directly above its
 * pulls, and the login with the most rights comes last.
 */
import { reachText, type Person } from './people.ts'
import { isRestricted, mayPull, sampleImages } from './sample-pulls.ts'
import type { Sandbox } from './sandbox.ts'

/** @param people the people with the most rights come first */
export const commandsToPaste = (
  { url, kubernetes }: Pick<Sandbox, 'url' | 'kubernetes'>,
  people: readonly Person[],
): readonly string[] => {
  const { host } = new URL(url)
  const pullOf = (name: string, isAllowed: boolean) =>
    `  podman pull --tls-verify=false ${host}/${name}${isAllowed ? '' : '  # refused, as it should be'}`
  return people.toReversed().flatMap(({ username, who, token, reach }) => {
    const pulls = sampleImages.map((image) => ({ ...image, isAllowed: mayPull(kubernetes, token, image) }))
    const [base] = pulls
    return [
      '',
      `  # ${username}, ${who}: ${reachText(reach, isRestricted)}`,
      `  podman login --tls-verify=false -u ${username} -p ${token} ${host}`,
      ...pulls.map(({ repository, tag, isAllowed }) => pullOf(`${repository}:${tag}`, isAllowed)),
      // The first image again, under its name in QCI.
      ...(base?.isAllowed === true ? [pullOf('openshift/ci:ocp_4.5_base', true)] : []),
    ]
  })
}
