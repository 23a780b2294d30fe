/** One download by curl, hashed by sha256sum. The CPU of both is in no figure. */
import { runTool } from '../system/processes.ts'

export interface Transfer {
  /** Bytes per second, as the client saw it. */
  readonly speed: number
}

/** @param ca PEM file, for https. @throws {Error} if the bytes have another digest */
export const transfer = async (
  url: string,
  token: string,
  digest: string,
  ca?: string,
): Promise<Transfer> => {
  const script =
    'curl --silent --show-error --fail --write-out "%{stderr}%{speed_download}" --header "$2" ${3:+--cacert "$3"} "$1" | sha256sum'
  const { stdout, stderr } = await runTool('sh', [
    '-c',
    script,
    'sh',
    url,
    `Authorization: Bearer ${token}`,
    ca ?? '',
  ])
  const arrived = `sha256:${stdout.split(' ', 1).join('')}`
  if (arrived !== digest) throw new Error(`${url}: ${arrived} arrived instead of ${digest} ${stderr}`)
  return { speed: Number(stderr) }
}
