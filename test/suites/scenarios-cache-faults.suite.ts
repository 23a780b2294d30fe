import { run } from './suites.ts'

await run(import.meta.filename)
