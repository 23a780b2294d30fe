/**
 * Debian's nginx in front of several proxies, as the routers of app.ci stand in front of pods: each request goes to the next one, and
 * one that cannot be connected to is passed over.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accessLogOf, startNginx } from '../bench/system/nginx.ts'
import { freePort } from './process.ts'

export type Balancer = {
  host: string
  /** Requests that are new go to these from now on. */
  use: (hosts: readonly string[]) => Promise<void>
  /** How often it gave which status since it was asked last, TLS that it does not speak left out. */
  statuses: () => Promise<ReadonlyMap<number, number>>
  stop: () => Promise<void>
}

export const startBalancer = async (directory: string, hosts: readonly string[]): Promise<Balancer> => {
  const port = await freePort()
  const name = 'balancer'
  const included = join(directory, 'proxies.conf')
  const write = async (servers: readonly string[]) =>
    await writeFile(included, servers.map((host) => `server ${host} max_fails=0;\n`).join(''))
  await write(hosts)
  const http = `
  client_max_body_size 1m;
  upstream proxies { include ${included}; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://proxies;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_max_temp_file_size 0;
    }
  }`
  const nginx = await startNginx({ directory, name, port, http })
  let read = 0
  return {
    host: `127.0.0.1:${port}`,
    use: async (servers) => {
      await write(servers)
      process.kill(nginx.pid, 'SIGHUP')
    },
    statuses: async () => {
      const log = (await readFile(accessLogOf({ directory, name }), 'utf8')).slice(read)
      read += log.length
      const counts = new Map<number, number>()
      for (const [, status] of log.matchAll(/ HTTP\/1\.1" (\d{3}) \d+ "/g))
        counts.set(Number(status), (counts.get(Number(status)) ?? 0) + 1)
      return counts
    },
    stop: async () => await nginx[Symbol.asyncDispose](),
  }
}
