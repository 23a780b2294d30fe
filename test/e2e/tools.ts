import { delimiter } from 'node:path'

// what tools/build built comes before what else is installed
const directory = process.env['E2E_TOOLS']
if (directory) process.env['PATH'] = `${directory}${delimiter}${process.env['PATH'] ?? ''}`
