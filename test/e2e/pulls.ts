/** The four clients, each pull without files of another one, and the results. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startContainerd } from './containerd.ts'
import { loggedIn } from './crane.ts'
import { isolatedPodman } from './podman.ts'
import type { Outcome } from './process.ts'
import { isolatedSkopeo } from './skopeo.ts'
import type { Workplace } from './stack.ts'

export type Login = { user: string; token: string }
/** @param image as `openshift/ci:ocp_4.5_base` */
export type Pull = (login: Login, image: string) => Promise<Outcome>
export const clientNames = ['podman', 'skopeo', 'ctr', 'crane'] as const
export type ClientName = (typeof clientNames)[number]

/** Starts a containerd, which ends with the test. */
export const startClients = async (stack: Workplace): Promise<Record<ClientName, Pull>> => {
  let count = 0
  /** A directory for one pull, removed after it. */
  const inPlace = async (use: (name: string, path: string) => Promise<Outcome>) => {
    const name = `p${count++}`
    const path = join(stack.directory, name)
    try {
      return await use(name, path)
    } finally {
      await rm(path, { recursive: true, force: true })
    }
  }
  const skopeo = isolatedSkopeo(stack)
  const containerd = await startContainerd(stack)
  return {
    podman: async ({ user, token }, image) =>
      await inPlace(async (name) => {
        const podman = await isolatedPodman(stack, name)
        return await podman.pull(image, `--creds=${user}:${token}`)
      }),
    skopeo: async ({ user, token }, image) =>
      await inPlace(async (_name, path) => {
        const options = ['--src-tls-verify=false', '--retry-times=2', `--src-creds=${user}:${token}`]
        return await skopeo('copy', ...options, `docker://${stack.host}/${image}`, `dir:${path}`)
      }),
    ctr: async ({ user, token }, image) =>
      await inPlace(async (name) => await containerd.fetch(user, token, image, name)),
    crane: async ({ user, token }, image) =>
      await inPlace(async (_name, path) => {
        const crane = await loggedIn(stack, user, token)
        return await crane('pull', `${stack.host}/${image}`, path)
      }),
  }
}

/**
 * `later`: upstream, app.ci or the store is unavailable, and a retry makes sense. `broken` is none of them: the
 * client failed by itself, or an answer was cut.
 */
export type Result = 'ok' | 'refused' | 'later' | 'broken'

export const resultOf = ({ code, output }: Outcome): Result => {
  if (code === 0) return 'ok'
  if (/\bdenied\b|unauthorized|\b40[134]\b|manifest unknown|not found/i.test(output)) return 'refused'
  return /\b(?:429|50[234])\b|unavailable|not known yet/i.test(output) ? 'later' : 'broken'
}
