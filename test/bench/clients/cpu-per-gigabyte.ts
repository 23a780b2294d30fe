/** The CPU that a server spends on a download, by its process. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from '../system/proc.ts'
import type { File } from '../system/origin.ts'
import { transfer } from './transfer.ts'

export interface Server {
  readonly url: string
  readonly pid: number
  /** PEM file of the authority of an https server. */
  readonly ca?: string | undefined
}

/** Milliseconds in which the work after the last byte ends: a line of log, a closed connection, a synced file. */
const settleMs = 200

/** CPU seconds for a gigabyte. @throws {Error} if the bytes have another digest */
export const cpuPerGigabyte = async (
  { url, pid, ca }: Server,
  token: string,
  { path, digest, bytes }: Pick<File, 'path' | 'digest' | 'bytes'>,
): Promise<number> => {
  const before = cpuSeconds(pid)
  await transfer(url + path, token, digest, ca)
  await sleep(settleMs)
  return ((cpuSeconds(pid) - before) / bytes) * 1e9
}
