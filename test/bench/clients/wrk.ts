/** wrk with one thread: each connection sends the next request after an answer. */
import { runTool } from '../system/processes.ts'

export interface Load {
  readonly url: string
  readonly token: string
  readonly accept: string
  readonly connections: number
  readonly seconds: number
}

export interface Throughput {
  readonly requests: number
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** @throws {Error} if an answer is missing or is not 2xx */
export const wrk = async ({ url, token, accept, connections, seconds }: Load): Promise<Throughput> => {
  const load = ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`]
  const headers = ['--header', `Authorization: Bearer ${token}`, '--header', `Accept: ${accept}`]
  const { stdout } = await runTool('wrk', [...load, ...headers, '--latency', url])
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`)
  const latency = (percent: number) =>
    toMilliseconds(new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(stdout))
  return {
    requests: Number(/^\s+(\d+) requests in /m.exec(stdout)?.[1]),
    requestsPerSecond: Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(stdout)?.[1]),
    p50: latency(50),
    p99: latency(99),
  }
}

const scales: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 }

const toMilliseconds = (match: RegExpExecArray | null): number =>
  Number(match?.[1]) * (scales[match?.[2] ?? ''] ?? NaN)
