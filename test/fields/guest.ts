/**
 * Rows of guests. Each stick has two: `system`, from Debian packages, and `counter`, an image that counts its starts on its
 * first serial port. `$system` and `$counter` are their names.
 */
import type { Row } from './row.js'

const COUNTER = 'guests.1'
const UUID = '0f5a1c9e-7d7b-4c53-8e0c-3a1f4f6f2a10'
const GIB = 2 ** 30

const identity: Row[] = [
  {
    field: 'guests[].name',
    at: `${COUNTER}.name`,
    value: 'tally',
    where: 'stick',
    ask: 'virsh list --all --name | sort | paste -sd" "',
    expected: 'system tally',
    other: 'counter system',
  },
  {
    field: 'guests[].uuid',
    value: UUID,
    where: 'guest',
    ask: 'cat /sys/class/dmi/id/product_uuid',
    expected: UUID,
    other: /^(?!0f5a1c9e)[0-9a-f-]{36}$/,
  },
  {
    field: 'guests[].serial',
    value: 'DESK-7',
    where: 'guest',
    ask: 'cat /sys/class/dmi/id/product_serial',
    expected: 'DESK-7',
    other: /^KV[0-9A-Z]+$/,
  },
  {
    field: 'guests[].machine',
    value: 'pc-q35-9.2',
    where: 'guest',
    ask: 'cat /sys/class/dmi/id/chassis_version',
    expected: 'pc-q35-9.2',
    other: 'pc-q35-10.0',
  },
  {
    field: 'guests[].machine',
    value: 'pc-i440fx-10.0',
    on: 'fixed',
    where: 'guest',
    ask: 'cat /sys/class/dmi/id/chassis_version',
    expected: 'pc-i440fx-10.0',
    other: 'pc-q35-10.0',
  },
]

/** The disk that a guest started from, and the driver of its first network card. */
const DEVICES =
  'echo $(lsblk -dno NAME,TYPE | grep disk | cut -c1-3 | head -n1) $(basename $(readlink /sys/class/net/en*/device/driver | head -n1))'

const UEFI = 'starting Boot'

const hardware: Row[] = [
  {
    // IDE and e1000: that machine is an i440fx.
    field: 'guests[].virtio',
    value: false,
    on: 'fixed',
    where: 'guest',
    ask: DEVICES,
    expected: 'sda e1000',
    other: 'vda virtio_net',
  },
  {
    // SATA, from which a BIOS starts.
    field: 'guests[].virtio',
    value: false,
    on: 'lean',
    at: `${COUNTER}.virtio`,
    where: 'stick',
    ask: 'virsh dumpxml $counter | grep -o "bus=.sata." | head -n1; last_of_counter',
    expected: "bus='sata'\nstart number 42",
    other: 'start number 1',
  },
  {
    field: 'guests[].firmware',
    value: 'uefi-secure',
    on: 'emulated',
    where: 'stick',
    ask: 'firmware_of system',
    expected: 'Access Denied',
    otherAsk: 'firmware_of usual',
    other: UEFI,
  },
  {
    field: 'guests[].firmware',
    at: `${COUNTER}.firmware`,
    value: 'bios',
    on: 'emulated',
    where: 'stick',
    ask: 'firmware_of counter',
    expected: 'start number',
    otherAsk: 'firmware_of usual',
    other: UEFI,
  },
  {
    field: 'guests[].cpus',
    value: 1,
    on: 'fixed',
    where: 'guest',
    ask: 'cat /sys/devices/system/cpu/possible',
    expected: '0',
    other: '0-1',
  },
  {
    field: 'guests[].cpus.max',
    value: 4,
    where: 'guest',
    ask: 'cat /sys/devices/system/cpu/possible',
    expected: '0-3',
    other: '0-1',
  },
  {
    field: 'guests[].cpus.min',
    value: 2,
    on: 'lean',
    where: 'report',
    ask: 'system reason',
    expected: 'needs 2 CPUs, this PC has 1',
    other: 'started, not proven',
  },
]

const SYSTEM_MEMORY = `virsh dominfo $system | awk '/Max memory/ {print $3 / 1024}'`
const COUNTER_MEMORY = `virsh dominfo $counter | awk '/Max memory/ {print $3 / 1024}'`

/** The PC has 3 GiB. Without a word of memory, each guest gets 1 GiB of it. */
const memory: Row[] = [
  {
    field: 'guests[].memory',
    at: `${COUNTER}.memory`,
    value: '600MiB',
    on: 'lean',
    where: 'stick',
    ask: COUNTER_MEMORY,
    expected: '600',
    other: '1024',
  },
  {
    field: 'guests[].memory',
    at: `${COUNTER}.memory`,
    value: '20%',
    where: 'stick',
    ask: COUNTER_MEMORY,
    expected: '614',
    other: '1024',
  },
  {
    field: 'guests[].memory.max',
    value: '700MiB',
    where: 'stick',
    ask: SYSTEM_MEMORY,
    expected: '700',
    other: '1024',
  },
  {
    field: 'guests[].memory.max',
    value: '700MiB',
    where: 'guest',
    ask: `awk '/MemTotal/ {print $2 < 700 * 1024 ? "less" : "more"}' /proc/meminfo`,
    expected: 'less',
    other: 'more',
  },
  {
    // A tenth of the PC would be less.
    field: 'guests[].memory.min',
    value: '1200MiB',
    on: 'fixed',
    where: 'stick',
    ask: SYSTEM_MEMORY,
    expected: '1200',
    other: '1024',
  },
]

/** A guest that answers on its port may still be looking for drives. */
const READ_CD = `systemctl is-system-running --wait >/dev/null; udevadm settle
  mount -o ro /dev/sr0 /media 2>/dev/null; cat /media/one.txt 2>/dev/null`
const startsOn = (disk: string) => `od -An -tu4 -j512 -N4 ${disk} 2>/dev/null | tr -d ' '`

const disks: Row[] = [
  {
    field: 'guests[].disk',
    value: '5GiB',
    where: 'guest',
    ask: 'lsblk -bdnro SIZE /dev/vda',
    expected: `${5 * GIB}`,
    other: `${2 * GIB}`,
  },
  {
    field: 'guests[].disks[].size',
    value: '1GiB',
    where: 'guest',
    ask: 'lsblk -bdnro SIZE /dev/vdb 2>/dev/null',
    expected: `${GIB}`,
    other: '',
  },
  {
    field: 'guests[].disks[].serial',
    value: 'BOOKS-1',
    where: 'guest',
    ask: 'cat /sys/block/vdb/serial 2>/dev/null',
    expected: 'BOOKS-1',
    other: '',
  },
  {
    // Both were started 41 times as another machine's first disk.
    field: 'guests[].disks[].image',
    at: 'guests.0.disks.1.image',
    value: 'counter-41.qcow2',
    where: 'guest',
    ask: startsOn('/dev/vdc'),
    expected: '41',
    other: '',
  },
  {
    field: 'guests[].disks[].format',
    at: 'guests.0.disks.1.format',
    value: 'qcow2',
    where: 'guest',
    ask: startsOn('/dev/vdc'),
    expected: '41',
    other: '',
  },
  {
    field: 'guests[].disks[].format',
    at: 'guests.0.disks.2.format',
    value: 'raw',
    where: 'guest',
    ask: startsOn('/dev/vdd'),
    expected: '41',
    other: '',
  },
  ...(['vmdk', 'vhdx', 'vhd', 'vdi'] as const).map(
    (format, index): Row => ({
      field: 'guests[].disks[].format',
      at: `guests.0.disks.${4 + index}.format`,
      value: format,
      where: 'guest',
      ask: startsOn(`/dev/vd${'efgh'[index]}`),
      expected: '41',
      other: '',
    }),
  ),
  {
    field: 'guests[].disks[].iso',
    at: 'guests.0.disks.3.iso',
    value: 'tools.iso',
    where: 'guest',
    ask: READ_CD,
    expected: 'one',
    other: '',
  },
  {
    // On a machine whose CDs are on another bus.
    field: 'guests[].disks[].iso',
    value: 'tools.iso',
    on: 'fixed',
    where: 'guest',
    ask: READ_CD,
    expected: 'one',
    other: '',
  },
]

const network: Row[] = [
  {
    field: 'guests[].nics[].mac',
    value: '52:54:00:12:34:56',
    where: 'guest',
    ask: 'cat /sys/class/net/en*/address | grep -c 52:54:00:12:34:56',
    expected: '1',
    other: '0',
  },
  {
    field: 'guests[].nics[].network',
    at: 'guests.0.nics.1.network',
    value: 'bridge',
    // An address of the PC's own network, which may take a moment.
    where: 'guest',
    ask: `for try in 1 2 3 4 5 6; do ip -4 -br address | grep -q '10\\.0\\.2\\.' && break; sleep 2; done
      ip -4 -br address | grep -c '10\\.0\\.2\\.'`,
    expected: '1',
    other: '0',
  },
  {
    field: 'guests[].nics',
    at: `${COUNTER}.nics`,
    value: [],
    where: 'stick',
    ask: 'virsh -q domiflist $counter | wc -l',
    expected: '0',
    other: '1',
  },
  {
    // The guest has a card in the asking network, too, by which it must not answer.
    field: 'guests[].ports[].host',
    value: 8080,
    where: 'network',
    ask: '8080',
    expected: 'port 8000',
    other: '',
  },
  {
    field: 'guests[].ports[].guest',
    value: 8000,
    where: 'network',
    ask: '8080',
    expected: 'port 8000',
    other: '',
  },
]

const devices: Row[] = [
  {
    field: 'guests[].usb[].vendor',
    value: '0627',
    where: 'guest',
    ask: 'cat /sys/bus/usb/devices/*/idVendor 2>/dev/null | grep 0627',
    expected: '0627',
    other: '',
  },
  {
    field: 'guests[].usb[].product',
    value: '0001',
    where: 'guest',
    ask: 'cat /sys/bus/usb/devices/*/idProduct 2>/dev/null | grep 0001',
    expected: '0001',
    other: '',
  },
  {
    field: 'guests[].shares[].name',
    value: 'exchange',
    where: 'guest',
    ask: 'mount -t virtiofs exchange /mnt 2>/dev/null; findmnt -no FSTYPE /mnt',
    expected: 'virtiofs',
    other: '',
  },
  {
    field: 'guests[].shares[].name',
    value: 'exchange',
    where: 'stick',
    ask: 'ls -d /data/shares/* 2>/dev/null',
    expected: '/data/shares/exchange',
    other: '',
  },
]

const start: Row[] = [
  {
    // The one that stands second here.
    field: 'guests[].autostart.order',
    at: `${COUNTER}.autostart.order`,
    value: 10,
    where: 'stick',
    ask: 'started_first',
    expected: 'tally',
    other: 'system',
  },
  {
    field: 'guests[].autostart',
    at: `${COUNTER}.autostart`,
    value: false,
    on: 'fixed',
    where: 'stick',
    ask: 'virsh domstate $counter',
    expected: 'shut off',
    other: 'running',
  },
  {
    field: 'guests[].changes',
    at: `${COUNTER}.changes`,
    value: 'discard',
    where: 'stick',
    ask: 'count_restart',
    expected: 'start number 42',
    other: 'start number 2',
  },
  {
    field: 'guests[].ready',
    value: 'agent',
    where: 'report',
    ask: 'system state',
    expected: 'ready',
    other: 'started',
  },
  {
    field: 'guests[].ready.tcp',
    value: 80,
    on: 'fixed',
    where: 'report',
    ask: 'system state',
    expected: 'ready',
    other: 'started',
  },
  {
    field: 'guests[].ready.log',
    at: `${COUNTER}.ready.log`,
    value: '^keyvisor: start number [0-9]+$',
    where: 'report',
    ask: 'counter state',
    expected: 'ready',
    other: 'started',
  },
]

export const GUEST_ROWS: readonly Row[] = [
  ...identity,
  ...hardware,
  ...memory,
  ...disks,
  ...network,
  ...devices,
  ...start,
]
