/** One download by curl, hashed by sha256sum beside it: neither is in anybody's figures. */
import { runTool } from '../system/processes.ts'

export interface Transfer {
  /** Bytes per second, as the client saw it. */
  readonly speed: number
}

/** @throws {Error} where the bytes are not those of the digest */
export const transfer = async (url: string, token: string, digest: string): Promise<Transfer> => {
  const script =
    'curl --silent --show-error --fail --write-out "%{stderr}%{speed_download}" --header "$2" "$1" | sha256sum'
  const { stdout, stderr } = await runTool('sh', ['-c', script, 'sh', url, `Authorization: Bearer ${token}`])
  const arrived = `sha256:${stdout.split(' ', 1).join('')}`
  if (arrived !== digest) throw new Error(`${url}: ${arrived} arrived instead of ${digest} ${stderr}`)
  return { speed: Number(stderr) }
}
