/**
 * Starter: the commented profile that `keyvisor init` writes. It is valid as it stands.
 */

/** The profile's text. `schemaPath` is where an editor finds the schema: an address, or a path from the profile. */
export function starterProfile(schemaPath: string): string {
  return `# yaml-language-server: $schema=${schemaPath}
#
# Describes one stick. "keyvisor validate" says what is wrong with it, "keyvisor plan" what will come of it, and
# "keyvisor build" makes the image. Lines that begin with # are examples: take the # away to use them.
version: 1
name: my-stick

# stick:
#   firmware: [bios, uefi, secureboot]   # firmware of the PCs that will start it
#   minimumSize: 8GiB                    # the smallest stick that it must fit
#   minimumMemory: 4GiB                  # the smallest PC that must start every guest

host:
  hostname: my-stick
  keyboard: us
  timezone: UTC
  admin:
    name: admin
    # There is no default password. Until one of these is set, nobody can log in, and "keyvisor validate" warns.
    # sshKeyFiles: [id_ed25519.pub]      # relative to this file
    # passwordHash: '$6$...'             # what "openssl passwd -6" prints, or {file: PATH}, or {env: VARIABLE}
  # firmware: [microcode, realtek, intel-wifi]   # what the PCs' hardware needs; "keyvisor plan" shows the sizes
  # network:
  #   uplink: {address: 192.168.1.10/24, gateway: 192.168.1.1, dns: [192.168.1.1]}
  #   bridge: true                       # for guests with nics: [{network: bridge}], on the PC's own network
  #   wifi: [{ssid: office, passphrase: {file: office.passphrase}}]
  # packages: [tcpdump]

guests:
  # A guest that is built from Debian packages.
  - name: first
    source:
      debian:
        packages: [qemu-guest-agent]
        # files: [{source: app.service, target: /etc/systemd/system/app.service}]
        # units: [app.service]           # started at each boot
    firmware: bios                       # starts fastest; or uefi, uefi-secure
    cpus: {min: 1, max: 2}
    memory: {min: 512MiB, max: 1GiB}     # the PC of the day decides between the two; or max: 50%, of its memory
    changes: keep                        # or discard: fresh at each start
    ready: agent                         # or none, {tcp: PORT}, {log: REGEX}
    autostart: {order: 10}               # or false
    # ports: [{host: 8080, guest: 80}]   # http://THE-STICK:8080 leads into the guest
    # usb: [{vendor: "046d", product: "c52b"}]   # as lsusb shows it; left out where it is not plugged in
    # shares: [{name: exchange}]         # in the guest: mount -t virtiofs exchange /mnt

  # A guest from a disk image that you have.
  # - name: second
  #   source: {image: ./second.qcow2}   # or .vmdk, .vhdx, .vhd, .vdi
  #   firmware: bios                     # what it was installed with: bios, uefi or uefi-secure
  #   autostart: false
`
}
