/** Debian's redis-server for one test: on a free port, with a data directory of its own, ended by its pid. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, plainEnv, run } from './process.ts'

export interface RedisServer {
  readonly port: number
  /** The output of redis-cli without a login. */
  readonly cli: (...args: string[]) => Promise<string>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Kills it and starts another one on the same port, which is empty unless the first one saved. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

const answers = async (port: number): Promise<boolean> => {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(1000) })
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export const startRedis = async (
  directory: string,
  args: (port: number) => readonly string[] = (port) => ['--port', String(port)],
): Promise<RedisServer> => {
  const port = await freePort()
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(
      'redis-server',
      ['--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no', ...args(port)],
      { stdio: 'ignore', env: plainEnv() },
    )
    for (let tries = 0; !(await answers(port)); tries += 1) {
      if (tries > 200 || child.exitCode !== null) throw new Error('redis-server did not start')
      await sleep(25)
    }
    return child
  }
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }
  let child = await start()
  return {
    port,
    cli: async (...command) => {
      const { code, output } = await run('redis-cli', ['-p', String(port), ...command], { timeout: 20_000 })
      if (code !== 0) throw new Error(output)
      return output.trim()
    },
    signal: (signal) => void child.kill(signal),
    restart: async () => {
      await end(child)
      child = await start()
    },
    stop: async () => await end(child),
  }
}
