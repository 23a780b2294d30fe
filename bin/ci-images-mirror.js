#!/usr/bin/env node
// Starts src/mirror/main.ts where Node.js can read TypeScript. An older one would end with a stack trace. It must be able to read this file.
import { useCompileCache } from './compile-cache.js'

if (process.features.typescript) {
  process.on('exit', useCompileCache())
  await import('../src/mirror/main.ts')
} else {
  process.stderr.write(
    `ci-images-mirror: Node.js ${process.version} is too old: run npm ci, which installs the right one, then start with npx ci-images-mirror\n`,
  )
  process.exitCode = 2
}
