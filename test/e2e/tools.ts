import { delimiter } from 'node:path'

// Tools of tools/build come before installed ones.
const directory = process.env['E2E_TOOLS']
if (directory) process.env['PATH'] = `${directory}${delimiter}${process.env['PATH'] ?? ''}`
