/**
 * Debian's nginx before several proxies, as the routers of app.ci are before pods: each request goes to the next proxy, and
 * a proxy that accepts no connection is skipped.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accessLogOf, startNginx } from '../bench/system/nginx.ts'
import { freePort } from './process.ts'

export type Balancer = {
  host: string
  /** New requests go to these proxies from now on. */
  use: (hosts: readonly string[]) => Promise<void>
  /** The number of answers by status since the last call, without those to TLS, which it does not speak. */
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
