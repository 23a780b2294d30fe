#!/usr/bin/env node
// Starts src/credential-helper/main.ts where Node.js can read TypeScript. An older one would end with a stack trace. It must be able to read this file.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

if (process.features.typescript) {
  // Here, not in main.ts: with the first TypeScript that is not cached, Node.js loads its compiler, which takes half of the start.
  // Attack: in the shared folder for temporary files, Node's default, another user could put code into the cache.
  module.enableCompileCache(
    fileURLToPath(new URL('../node_modules/.cache/credential-helper', import.meta.url)),
  )
  await import('../src/credential-helper/main.ts')
} else {
  // Clients of docker show the output of a helper, the kubelet logs the error output.
  const stream = process.argv.includes('kubelet') ? process.stderr : process.stdout
  stream.write(
    `docker-credential-quay-proxy: Node.js ${process.version} is too old: put Node.js 24 or later on the PATH\n`,
  )
  process.exitCode = 1
}
