/**
 * What goes wrong below a proxy with a cache on a disk and in S3: each fault can be injected by itself, and all of them together.
 */
import { truncateSync, writeFileSync, rmSync } from 'node:fs'
import type { Test } from 'tap'
import type { FaultRule } from '../../src/sandbox/quay/faults.ts'
import type { Quay } from '../../src/sandbox/quay/quay.ts'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import type { S3Fault, S3Server } from '../support/s3-server.ts'

/** Whether the next request or operation is hit. */
export type When = () => boolean

export interface CacheFault {
  readonly name: string
  /** Whether the proxy can make good for it, whatever the client has already. */
  readonly isSavable: boolean
  /** The maximum of injections, because each costs seconds; the number of `When` unless given. */
  readonly most?: number
  /** Until the faults are cleared. */
  readonly inject: (system: BadSystem, when: When) => void
}

export interface BadSystem {
  readonly quay: Quay
  readonly s3: S3Server
  readonly disk: BadDisk
  /** Paths of stored blobs. Their files are changed between two lives of the proxy only. */
  readonly entries: readonly string[]
}

type Change = { readonly [Call in keyof Disk]?: (...args: Parameters<Disk[Call]>) => Promise<unknown> }

/** The disk of this process, with errors. */
export class BadDisk {
  readonly #original = { ...systemDisk }
  #changes: { readonly when: When; readonly change: Change }[] = []

  /** @param test at whose end the disk is as before */
  constructor(test: Test) {
    test.teardown(() => Object.assign(systemDisk, this.#original))
    for (const call of Object.keys(this.#original) as (keyof Disk)[])
      Object.assign(systemDisk, { [call]: this.#calling(call) })
  }

  /** A call that the change has is replaced. What the change returns is not looked at if it is undefined: then the call is made after it. */
  fault(change: Change, when: When): void {
    this.#changes.push({ when, change })
  }

  clear(): void {
    this.#changes = []
  }

  #calling(call: keyof Disk) {
    const original = this.#original[call] as (...args: unknown[]) => Promise<unknown>
    return async (...args: unknown[]): Promise<unknown> => {
      const hit = this.#changes.find(({ change, when }) => change[call] !== undefined && when())
      const answer = await (hit?.change[call] as ((...args: unknown[]) => Promise<unknown>) | undefined)?.(
        ...args,
      )
      return answer ?? (await original(...args))
    }
  }
}

const failing = (code: string) => async (): Promise<never> =>
  await Promise.reject(Object.assign(new Error(code), { code }))

const sleeping = (milliseconds: number) => async () =>
  await new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

/** The deadline of an operation of the disk is a second. */
const hangMs = 1300

const upstream = (
  name: string,
  fault: Partial<FaultRule>,
  isSavable = true,
  most = Infinity,
): CacheFault => ({
  name: `upstream: ${name}`,
  isSavable,
  most,
  inject: ({ quay }, when) => quay.fault({ origin: 'cdn', path: /./, count: Infinity, when, ...fault }),
})

const disk = (name: string, change: Change, most = Infinity): CacheFault => ({
  name: `disk: ${name}`,
  isSavable: true,
  most,
  inject: (system, when) => system.disk.fault(change, when),
})

const s3 = (name: string, fault: S3Fault, isSavable = true, most = Infinity): CacheFault => ({
  name: `S3: ${name}`,
  isSavable,
  most,
  inject: (system, when) => system.s3.fault({ count: Infinity, when, ...fault }),
})

/** Of a file, between two lives. */
const entry = (name: string, isSavable: boolean, change: (path: string) => void): CacheFault => ({
  name: `entry at the start: ${name}`,
  isSavable,
  inject: ({ entries }, when) => {
    for (const path of entries) if (when()) change(path)
  },
})

const get = { method: 'GET' } as const

/** Those of the disk come last: they leave few entries behind. */
export const cacheFaults: readonly CacheFault[] = [
  upstream('cut', { cutAfterBytes: 20_000 }),
  upstream('stalls', { stallAfterBytes: 20_000 }),
  upstream('ends too early', { truncateAfterBytes: 20_000 }),
  upstream('502', { status: 502 }),
  upstream('reset in the head', { reset: true }),
  upstream('wrong bytes', { wrongBytes: true }, false),
  upstream('wrong length', { headers: { 'content-length': '77' } }, false),
  upstream('manifest 502', { origin: 'quay', path: /manifests/, status: 502 }),
  upstream('manifest of wrong bytes', { origin: 'quay', path: /manifests/, wrongBytes: true }),
  entry('other bytes', false, (path) => writeFileSync(path, 'other bytes', { flag: 'r+' })),
  entry('cut short', true, (path) => truncateSync(path, 100)),
  entry('gone', true, (path) => rmSync(path)),
  s3('500', { status: 500 }),
  s3('403', { status: 403 }),
  s3('killed', { resets: true }),
  s3('frozen', { hangs: true }, true, 4),
  s3('cut', { ...get, cutAt: 20_000 }),
  s3('stalls', { ...get, stallAt: 20_000 }, true, 1),
  s3('wrong bytes', { ...get, wrongBytes: true }, false),
  s3('wrong length', { ...get, headers: { 'content-length': '77' } }, false),
  disk('ENOSPC on write', { write: failing('ENOSPC') }),
  disk('ENOSPC on create', { create: failing('ENOSPC') }),
  disk('EROFS', { create: failing('EROFS'), publish: failing('EROFS') }),
  disk('EIO on write', { write: failing('EIO') }),
  disk('EIO on read', { read: failing('EIO') }),
  disk('EIO on flush', { sync: failing('EIO') }),
  disk('ENOENT on open', { open: failing('ENOENT') }),
  disk('removed while it is read', { open: async (path) => rmSync(path, { force: true }) }),
  disk('short read', { read: async () => await Promise.resolve(0) }),
  disk('slow', { write: sleeping(30), read: sleeping(30) }),
  disk('hangs on write', { write: sleeping(hangMs) }, 2),
  disk('hangs on read', { read: sleeping(hangMs) }, 2),
]
