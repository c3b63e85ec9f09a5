/**
 * Codes: the stable name of everything that can be wrong with a profile, and what it means.
 *
 * The one list: the reference page's table is made from it, every code in it has a profile in
 * `fixtures/profiles/broken/`, and no rule can report a code that is not in it. Free of imports, since
 * `scripts/generate.js` reads this file by itself.
 */

interface CodeMeaning {
  severity: 'error' | 'warning'
  /** One sentence for the reference page. */
  meaning: string
}

const error = (meaning: string): CodeMeaning => ({ severity: 'error', meaning })
const warning = (meaning: string): CodeMeaning => ({ severity: 'warning', meaning })

export const CODES = {
  // The file.
  'no-file': error('The profile, or a file that it names, does not exist.'),
  'not-a-file': error('What is named is a folder, a device or unreadable, not a file that can be read.'),
  'bad-encoding': error('The profile is not UTF-8 text.'),
  'byte-order-mark': warning('The profile begins with a byte order mark, which YAML and JSON do not need.'),
  'empty-profile': error('There is nothing in the profile.'),
  'bad-syntax': error('The text is not YAML 1.2.'),
  'tab-indent': error('A tab indents, where YAML takes spaces only.'),
  'duplicate-key': error('A key stands twice in the same place.'),
  'several-documents': error('The file holds more than one YAML document.'),
  'too-many-aliases': error('Aliases expand to more than a profile can need.'),
  // The schema.
  'unknown-key': error('A key that the schema does not know in this place.'),
  'missing-key': error('A key that must be there is not.'),
  'conflicting-key': error('Two keys are given of which only one can be.'),
  'wrong-type': error('A value of another type than the schema has here.'),
  'not-one-of': error('A value that is none of those the schema lists.'),
  'bad-size': error('A size that is not a whole number above 0 with a binary unit.'),
  'bad-pattern': error('A text that does not have the form that its place asks for.'),
  'empty-text': error('A text that must not be empty.'),
  'too-small': error('A number below the least that is allowed.'),
  'too-large': error('A number above the most that is allowed.'),
  'too-few': error('A list with fewer entries than it must have.'),
  'too-many': error('A list with more entries than it can have.'),
  'duplicate-entry': error('An entry stands twice in a list.'),
  // Rules across fields: names and numbers that must be unique.
  'duplicate-name': error('Two guests have the same name.'),
  'duplicate-mac': error('Two network cards have the same MAC address.'),
  'duplicate-uuid': error('Two guests have the same UUID.'),
  'duplicate-order': error('Two guests have the same place in the start order.'),
  'duplicate-port': error('Two guests want the same port of the stick.'),
  'duplicate-serial': error('Two disks of a guest have the same serial number.'),
  'duplicate-target': error('Two files go to the same place.'),
  'target-below-file': error('One file goes below another, which would have to be a folder.'),
  'duplicate-usb': error('A USB device is given twice: to one guest, or to two that the stick starts.'),
  'duplicate-share': error('A guest has the same shared folder twice.'),
  // Rules across fields: files.
  'no-effect': error(
    'A file goes where it would have no effect, or where Keyvisor writes what the profile says elsewhere.',
  ),
  'long-target': error('A path, or a name in it, is longer than Linux allows.'),
  // Rules across fields: the host.
  'no-login': warning('Nobody can log in: there is no SSH key and no password hash.'),
  'bad-ssh-key': error('What is given as an SSH key is not an OpenSSH public key.'),
  'private-key': error('A private key is given where a public key belongs.'),
  'reserved-name': error(
    'The admin has the name of an account or a group that the host has anyway, or that one of its packages makes.',
  ),
  'unknown-timezone': error('The stick has no such time zone.'),
  'unknown-locale': error("Debian's package of locales has no such locale in UTF-8."),
  'unknown-keyboard': error('There is no such keyboard layout, or the layout has no such variant.'),
  'long-ssid': error("A Wi-Fi network's name has more than 32 bytes."),
  'no-wifi-firmware': warning('A Wi-Fi network is named, and no firmware of Wi-Fi cards.'),
  'gateway-outside-subnet': error("The gateway is not in the static address's subnet."),
  // Rules across fields: guests.
  'min-above-max': error('The least is above the most.'),
  'bad-regex': error('The regular expression does not compile.'),
  'no-nic': error('A port of a guest is named, and the guest has no network card on the network `nat`.'),
  'no-bridge': error('A network card of a guest is on the bridge, and the host has none.'),
  'reserved-port': error("The stick's own SSH server has this port."),
  'agent-missing': error('`ready: agent` needs qemu-guest-agent, which this guest does not install.'),
  'multicast-mac': error('A MAC address that is a group address, which no network card can have.'),
  'no-secure-boot': error('The machine type has no Secure Boot.'),
  'unknown-machine': error("The suite's QEMU does not have this machine type."),
  'disk-smaller-than-base': error("The guest's disk is smaller than its base image."),
  // Rules across fields: the stick.
  'disk-larger-than-stick': error("A guest's disks come to more than the smallest stick."),
  'stick-too-small': error(
    'The partitions do not fit the smallest stick, with what is known of their sizes before a build.',
  ),
  'below-least': error('A size below the least that what must be there can have.'),
  'odd-size': error(
    'A size that is not in whole MiB, or in whole sectors of 512 bytes, as its place needs it.',
  ),
  'too-many-nics': error(
    "The guests have more network cards together than the guests' network has addresses.",
  ),
  'memory-too-small': error(
    'A guest with autostart does not start on the smallest PC: its memory is not there.',
  ),
  // Files that the profile names.
  'image-larger-than-stick': warning('The disk in an image can grow larger than the smallest stick.'),
  'library-too-large': error("The guests' images alone are larger than the library is to be."),
  'no-variable': error('The environment variable that a secret is to come from is not set.'),
  'bad-secret': error(
    'What a file or an environment variable holds is no secret of its kind. Its value is never shown.',
  ),
  'wrong-format': error('An image file is not in the format that the profile says, or no whole disk.'),
  'qcow2-backing-file': error(
    'A qcow2 image has a backing file: it is no whole disk, and names a file to be opened.',
  ),
  'qcow2-data-file': error('A qcow2 image has its bytes in another file, which it names.'),
  'qcow2-encrypted': error('A qcow2 image is encrypted.'),
  'qcow2-corrupt': error('A qcow2 image is marked as corrupt by the QEMU that used it.'),
  'qcow2-unknown-feature': error('A qcow2 image needs a feature that is not known here.'),
  'qcow2-absurd-size': error("A number in a qcow2 image's header is beyond all sense."),
  'qcow2-damaged': error("A qcow2 image's header is damaged, or the file ends before its tables do."),
  'disk-damaged': error(
    "The headers of an image of another hypervisor's are damaged, or the file ends before its data do.",
  ),
  'image-in-use': error('A virtual machine that runs has an image open for writing.'),
  'image-needs-file': error(
    'An image is a part of a disk: a snapshot, a differencing disk, an extent, or a description of other files.',
  ),
} as const satisfies Record<string, CodeMeaning>

export type Code = keyof typeof CODES
