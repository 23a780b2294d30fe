#!/usr/bin/env node
// Starts src/main.ts where Node.js can read TypeScript. An older one would end with a stack trace. It must be able to read this file.
import { useCompileCache } from './compile-cache.js'

if (process.features.typescript) {
  process.on('exit', useCompileCache())
  await import('../src/main.ts')
} else {
  process.stderr.write(
    `quay-proxy: Node.js ${process.version} is too old: run npm ci, which installs the right one, then start with npm (npm start, npm run serve, npx quay-proxy)\n`,
  )
  process.exitCode = 2
}
