import { createHash } from 'node:crypto'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { Fill } from '../../src/storage/fill.ts'
import type { FillOptions } from '../../src/storage/fill-options.ts'
import type { FillOutcome } from '../../src/storage/fill-outcome.ts'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'
import { staying } from '../concurrency/fake-clock.ts'

/** Bytes that differ from block to block. */
export const bytesOf = (size: number): Buffer => {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8)) % 251
  return bytes
}

export const digestOf = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`

/** A directory of its own at each call, for as long as the test. The deadlines of the disk alone would not keep the test alive. */
export const freshDirectory = (test: Test): string => {
  staying(test)
  const path = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
  test.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The real disk with some of its calls replaced. */
export const diskWith = (calls: Partial<Disk>): Disk => ({ ...systemDisk, ...calls })

export const failing = (code: string) => async (): Promise<never> =>
  await Promise.reject(Object.assign(new Error(code), { code }))

/** Never answers. */
export const hanging = async (): Promise<never> => await new Promise(() => undefined)

export interface FillFor {
  readonly fill: Fill
  readonly ended: FillOutcome[]
}

export const fillFor = (test: Test, content: Buffer, options: Partial<FillOptions> = {}): FillFor => {
  const ended: FillOutcome[] = []
  const fill = new Fill({
    digest: digestOf(content),
    size: content.length,
    requester: 'alice',
    fd: openSync(join(freshDirectory(test), 'fill'), 'wx+'),
    disk: systemDisk,
    queue: new DiskQueue(),
    buffers: new ReadBuffers(),
    // One write for each chunk of `addAll`.
    blockBytes: 10_000,
    publish: async () => undefined,
    onEnd: (outcome) => void ended.push(outcome),
    ...options,
  })
  return { fill, ended }
}

/** Hands it over in chunks, and waits for each to be released. */
export const addAll = async (fill: Fill, content: Buffer, chunkBytes = 10_000): Promise<void> => {
  for (let at = 0; at < content.length; at += chunkBytes)
    await new Promise<void>((release) => fill.add(content.subarray(at, at + chunkBytes), release))
}
