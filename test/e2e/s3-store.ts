/** versitygw, a real S3 over a directory, for one test: on a free port, with keys of its own, ended by its pid. */
import { randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, plainEnv } from './process.ts'

export interface S3Store {
  readonly url: string
  readonly keys: { readonly access: string; readonly secret: string }
  /** The file for `--cache-s3-credentials-file`. */
  readonly credentials: string
  /** Files of the objects, by key. */
  readonly objects: () => readonly string[]
  /** The file of an object. */
  readonly fileOf: (key: string) => string
  readonly signal: (signal: NodeJS.Signals) => void
  /** Kills it. */
  readonly kill: () => Promise<void>
  /** On the same port, with the same objects. */
  readonly start: () => Promise<void>
}

export const bucket = 'ci-images'

/** @param directory an empty one */
export const startStore = async (directory: string): Promise<S3Store> => {
  const keys = { access: `AKIA${randomBytes(8).toString('hex')}`, secret: randomBytes(20).toString('hex') }
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const [objects, sidecar] = [join(directory, 'objects'), join(directory, 'sidecar')]
  await mkdir(join(objects, bucket), { recursive: true })
  await mkdir(sidecar)
  const credentials = join(directory, 'credentials')
  await writeFile(
    credentials,
    `[default]\naws_access_key_id = ${keys.access}\naws_secret_access_key = ${keys.secret}\n`,
    { mode: 0o600 },
  )
  const launch = async (): Promise<ChildProcess> => {
    const address = ['--access', keys.access, '--secret', keys.secret, '--port', `127.0.0.1:${port}`]
    const started = spawn('versitygw', [...address, 'posix', '--sidecar', sidecar, objects], {
      stdio: 'ignore',
      env: plainEnv(),
    })
    for (let tries = 0; !(await isUp(url)); tries += 1) {
      if (tries > 400 || started.exitCode !== null) throw new Error('versitygw did not start')
      await sleep(25)
    }
    return started
  }
  let child = await launch()
  return {
    url,
    keys,
    credentials,
    objects: () => globSync('**/{blobs,manifests}/sha256/*/*', { cwd: join(objects, bucket) }).toSorted(),
    fileOf: (key) => {
      const path = join(objects, bucket, key)
      if (!existsSync(path)) throw new Error(`${key} is not in the bucket`)
      return path
    },
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    },
    start: async () => {
      child = await launch()
    },
  }
}

/** It answers 403 to a request without a signature. */
const isUp = async (url: string): Promise<boolean> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response !== undefined
}
