/** What no program on Node can go below, in CPU seconds for a gigabyte: the digest, and the way of the bytes from a file to a client. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { transfer } from '../../clients/transfer.ts'
import type { File } from '../../system/origin.ts'

const chunkBytes = 1024 * 1024

/** SHA-256 alone. */
export const hashSeconds = (): number => {
  const chunk = Buffer.alloc(chunkBytes, 'x')
  const hash = createHash('sha256')
  const before = process.cpuUsage()
  for (let at = 0; at < 1e9; at += chunkBytes) hash.update(chunk)
  hash.digest()
  return secondsSince(before)
}

/** An HTTP server that only reads a file into a buffer and writes it to the client. */
export const copySeconds = async ({ file, digest, bytes }: File): Promise<number> => {
  await using opened = await open(file)
  const server = createServer((_request, response) => void copy(opened, bytes, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await transfer(url, '', digest)
  const before = process.cpuUsage()
  await transfer(url, '', digest)
  const seconds = secondsSince(before)
  server.close()
  return (seconds / bytes) * 1e9
}

const copy = async (file: FileHandle, bytes: number, response: ServerResponse): Promise<void> => {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes)
  response.writeHead(200, { 'content-length': bytes })
  for (let at = 0; at < bytes;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, at)
    await new Promise<void>((written) => response.write(buffer.subarray(0, bytesRead), () => written()))
    at += bytesRead
  }
  response.end()
}

const secondsSince = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
