// SPDX-License-Identifier: Apache-2.0
// xo-vmdk-to-vhd: a streamOptimized VMDK as a VHD stream to the sink. `node vmdk_to_vhd.cjs SINK_PORT VMDK`, the package
// from the folder PEERS. The package reads the grain table by random access and then the file front to back, as
// Xen Orchestra's import does; how many bytes come is not known before, so the sink is told more and the end counts.

'use strict'
const { createRequire } = require('node:module')
const fs = require('node:fs')
const net = require('node:net')

const found = createRequire(process.env.PEERS + '/package.json')
const { default: convert, readCapacityAndGrainTable } = found('xo-vmdk-to-vhd')
const [port, file] = process.argv.slice(2)
const fd = fs.openSync(file, 'r')
const size = fs.fstatSync(fd).size

async function readRange(start, end) {
  const from = start < 0 ? size + start : start
  const upTo = end === undefined ? size : end < 0 ? size + end : end
  const buffer = Buffer.alloc(upTo - from)
  fs.readSync(fd, buffer, 0, buffer.length, from)
  return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length)
}

async function main() {
  const began = process.hrtime.bigint()
  const { tablePromise } = await readCapacityAndGrainTable(readRange)
  const { grainLogicalAddressList, grainFileOffsetList } = await tablePromise
  const stream = await convert(fs.createReadStream(file, { highWaterMark: 1 << 20 }), grainLogicalAddressList, grainFileOffsetList)
  const socket = net.connect(Number(port), '127.0.0.1')
  const head = Buffer.alloc(8)
  head.writeBigUInt64BE(1n << 60n)
  socket.write(head)
  stream.pipe(socket)
  const answer = await new Promise((resolve, reject) => {
    socket.on('data', resolve)
    socket.on('error', reject)
    stream.on('error', reject)
  })
  const bytes = Number(answer.readBigUInt64BE())
  console.log(JSON.stringify({ bytes, work_s: Number(process.hrtime.bigint() - began) / 1e9 }))
  process.exit(0)
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
