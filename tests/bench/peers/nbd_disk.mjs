// SPDX-License-Identifier: Apache-2.0
// Xen Orchestra's way of an NBD export to a VHD stream: NbdDisk behind ReadAhead, 2 MiB blocks, to the sink.
// `node nbd_disk.mjs SINK_PORT NBD_PORT`, packages from the folder PEERS. Each block goes out as soon as it was read,
// with the bitmap of a VHD before it; Xen Orchestra's own writer of the stream's table is left out, which is in its favour.

import { createRequire } from 'node:module'
import { once } from 'node:events'
import net from 'node:net'
import { pathToFileURL } from 'node:url'

const found = createRequire(process.env.PEERS + '/package.json')
const load = name => import(pathToFileURL(found.resolve(name)))
const { NbdDisk } = await load('@vates/nbd-client/NbdDisk.mjs')
const { ReadAhead } = await load('@xen-orchestra/disk-transform')

const [sinkPort, nbdPort] = process.argv.slice(2).map(Number)
const BLOCK = 2 * 1024 * 1024
const began = process.hrtime.bigint()
const inner = new NbdDisk({ address: '127.0.0.1', port: nbdPort, exportname: '' }, BLOCK)
await inner.init()
const disk = new ReadAhead(inner)
await disk.init()
const bitmap = Buffer.alloc(512, 0xff)
const count = disk.getBlockIndexes().length
const length = count * (BLOCK + bitmap.length)
if (count === 0) {
  throw new Error('the map of the export is empty')
}
const socket = net.connect(sinkPort, '127.0.0.1')
await once(socket, 'connect')
const head = Buffer.alloc(8)
head.writeBigUInt64BE(BigInt(length))
socket.write(head)
for await (const { data } of disk.diskBlocks()) {
  socket.write(bitmap)
  if (!socket.write(data)) {
    await once(socket, 'drain')
  }
}
const answer = (await once(socket, 'data'))[0]
socket.end()
await disk.close()
if (answer.readBigUInt64BE() !== BigInt(length)) {
  throw new Error('bytes were lost on the way')
}
console.log(JSON.stringify({ bytes: length, work_s: Number(process.hrtime.bigint() - began) / 1e9 }))
process.exit(0)
