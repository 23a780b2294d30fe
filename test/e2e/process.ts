import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import './tools.ts'
import { accessSync, constants } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Outcome = { code: number; stdout: string; stderr: string; output: string }
export type RunOptions = { env?: NodeJS.ProcessEnv; cwd?: string; timeout?: number; uid?: number }

/** The environment for a child, without the variables by which tap instruments processes of Node.js. */
export const plainEnv = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(NODE_OPTIONS$|NODE_V8_COVERAGE$|TAP|_TAPJS|QUAY_PROXY_)/.test(name),
  )
  return { ...Object.fromEntries(inherited), ...extra }
}

/** Runs a client to its end. A refusal is a result. @throws {Error} if the client is missing or hangs */
export const run = (command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> => {
  const { timeout = 90_000, env = plainEnv(), ...rest } = options
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { ...rest, env, timeout, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') {
          reject(new Error(`${command}: ${error.message}\n${stdout}${stderr}`, { cause: error }))
          return
        }
        resolve({ code: Number(error?.code ?? 0), stdout, stderr, output: stdout + stderr })
      },
    )
    child.stdin?.end()
  })
}

export type Service = {
  output: () => string
  stdout: () => string
  /** Sends SIGTERM, and SIGKILL after ten seconds. @returns the exit code; null if a signal ended it */
  stop: () => Promise<number | null>
}

const ended = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

const stopper = (child: ChildProcess, closed: Promise<unknown>) => async () => {
  if (!ended(child)) child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await closed
  clearTimeout(patience)
  return child.exitCode
}

/** Starts a server and waits until it is ready. @throws {Error} with its output, if it does not get ready */
export const startService = async (
  command: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  options: { env?: NodeJS.ProcessEnv; cwd?: string; patience?: number } = {},
): Promise<Service> => {
  const { patience = 30_000, env = plainEnv(), ...rest } = options
  const child = spawn(command, args, { ...rest, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close').catch(() => undefined)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const service = { output: () => stdout + stderr, stdout: () => stdout, stop: stopper(child, closed) }

  const deadline = Date.now() + patience
  while (!(await ready().catch(() => false))) {
    if (child.pid === undefined || ended(child) || Date.now() > deadline) {
      if (child.pid !== undefined) await service.stop()
      throw new Error(`${command} ${args.join(' ')} did not get ready:\n${service.output()}`)
    }
    await sleep(50)
  }
  return service
}

export const answers = async (url: string, status: number) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  await response.body?.cancel()
  return response.status === status
}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const installed = (tool: string) =>
  (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** The reason to skip, for tap. @throws {Error} with CI=true, where a missing tool is a failure */
export const missing = (...tools: string[]): string | false => {
  const absent = tools.find((tool) => !installed(tool))
  if (absent === undefined) return false
  if (process.env['CI'] === 'true')
    throw new Error(`${absent} is not installed, and under CI=true a skip is a failure`)
  return `${absent} is not installed`
}
