// SPDX-License-Identifier: Apache-2.0
// What Xen Orchestra's connector makes of a pool: node orchestra.mjs MODULES ADDRESS. The password is in XAPI_PASSWORD.
// Prints one JSON object. It logs in, lists, watches events, creates, imports and exports.

import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { pathToFileURL } from 'node:url'

const [modules, address] = process.argv.slice(2)
const { createClient } = await import(pathToFileURL(`${modules}/xen-api/index.mjs`))
const MIB = 1024 * 1024

const xapi = createClient({
  url: `https://${address}`,
  allowUnauthorized: true,
  auth: { user: 'root', password: process.env.XAPI_PASSWORD },
  watchEvents: true,
})
await xapi.connect()
await xapi.objectsFetched

const told = {}
const objects = () => Object.values(xapi.objects.all)
told.templates = objects().filter(o => o.$type === 'VM' && o.is_default_template).map(o => o.reference_label)
told.classes = [...new Set(objects().map(o => o.$type))].sort()
told.pool = xapi.pool.name_label

const sr = objects().find(o => o.$type === 'SR' && o.name_label === 'NFS storage')
const network = objects().find(o => o.$type === 'network' && o.bridge === 'xenbr0')
const template = objects().find(o => o.reference_label === 'debian-12')

// a VM and a disk, the disk through a task that is watched by events
const vmRef = await xapi.callAsync('VM.clone', template.$ref, 'orchestrated')
await xapi.call('VM.remove_from_other_config', vmRef, 'disks')
await xapi.callAsync('VM.provision', vmRef)
const vdiRef = await xapi.callAsync('VDI.create', {
  SR: sr.$ref,
  virtual_size: 4 * MIB,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: {},
  name_label: 'orchestrated disk',
})
await xapi.call('VBD.create', {
  VM: vmRef,
  VDI: vdiRef,
  userdevice: '0',
  bootable: true,
  mode: 'RW',
  type: 'Disk',
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
})
await xapi.call('VIF.create', {
  VM: vmRef,
  network: network.$ref,
  device: '0',
  MAC: '',
  MTU: 1500,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
})

// an event: the cache follows a change within the barrier
await xapi.setField('VM', vmRef, 'name_description', 'seen')
const cached = await xapi.barrier(vmRef)
told.cached = { description: cached.name_description, vifs: cached.VIFs.length, sizeType: typeof cached.memory_static_max }

const read = async response => {
  const parts = []
  for await (const part of response.body) parts.push(part)
  return Buffer.concat(parts)
}

// the disk goes in and comes out again
const content = randomBytes(4 * MIB)
await xapi.putResource(content, '/import_raw_vdi/', {
  query: { format: 'raw', vdi: vdiRef },
  task: true,
})
const exported = await read(
  await xapi.getResource('/export_raw_vdi/', { query: { format: 'raw', vdi: vdiRef }, task: true })
)
told.sameDisk = exported.equals(content)

// the whole VM as an XVA, out and in
const xva = await read(await xapi.getResource('/export/', { query: { ref: vmRef, use_compression: 'false' }, task: true }))
const [copyRef] = await xapi.putResource(xva, '/import/', { query: { sr_id: sr.$ref }, task: true })
  .then(result => (Array.isArray(result) ? result : [result]))
told.copy = await xapi.getField('VM', copyRef, 'name_label')
const [vbd] = await xapi.getField('VM', copyRef, 'VBDs')
const again = await read(
  await xapi.getResource('/export_raw_vdi/', {
    query: { format: 'raw', vdi: await xapi.getField('VBD', vbd, 'VDI') },
    task: true,
  })
)
told.sameXva = again.equals(content)

// an error arrives as one, with its code
told.error = await xapi.call('VM.start', 'OpaqueRef:none', false, false).catch(error => [error.code, ...error.params])

// what is gone leaves the cache
const gone = once(xapi.objects, 'remove')
await xapi.callAsync('VM.destroy', copyRef)
await gone
told.removed = xapi.getObjectByRef(copyRef, null) === null

console.log(JSON.stringify(told))
await xapi.disconnect()
process.exit(0)
