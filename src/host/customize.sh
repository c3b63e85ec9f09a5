# Turns a Debian tree into the host's root. Runs inside the root, as its root user.
#
# ADMIN, LOCALE, TIMEZONE   from the profile; secrets are files in /run/keyvisor
# VERSION   of Keyvisor
# SOURCE_DATE_EPOCH
. /run/keyvisor/lay.sh

# The one user; libvirt without a password, as on any workstation with virt-manager.
if getent passwd "$ADMIN" > /dev/null; then
  refuse host.admin.name "a package of the host makes an account $ADMIN" reserved-name
elif getent group "$ADMIN" > /dev/null; then
  refuse host.admin.name "a package of the host makes a group $ADMIN" reserved-name
fi
stop_refused
useradd --create-home --shell /bin/bash --groups sudo,libvirt,kvm,adm "$ADMIN"
if [ -s /run/keyvisor/password ]; then
  chpasswd --encrypted < /run/keyvisor/password
  printf 'PasswordAuthentication yes\n' > /etc/ssh/sshd_config.d/10-password.conf
fi
printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$ADMIN" > /etc/sudoers.d/keyvisor
chmod 440 /etc/sudoers.d/keyvisor
printf '%s\n' "$ADMIN" > /usr/lib/keyvisor/admin
# Dates of accounts count in days since 1970: the build's day, not today.
chage --lastday $((SOURCE_DATE_EPOCH / 86400)) "$ADMIN"

if [ -s /run/keyvisor/wifi.conf ]; then
  install -m 600 /run/keyvisor/wifi.conf /etc/wpa_supplicant/keyvisor.conf
fi

if [ "$LOCALE" != C.UTF-8 ]; then
  # The source of de_DE.UTF-8@euro is de_DE@euro.
  localedef --inputfile="$(printf %s "$LOCALE" | sed 's/\.UTF-8//')" --charmap=UTF-8 "$LOCALE"
fi
[ "$TIMEZONE" = UTC ] || ln -sf "/usr/share/zoneinfo/$TIMEZONE" /etc/localtime
# The package compiled its keymap for us. The configuration must be older than what is made of it: else every boot
# would compile it anew (console-setup.sh).
if command -v setupcon >/dev/null; then
  touch --date="@$((SOURCE_DATE_EPOCH - 1))" /etc/default/keyboard /etc/default/console-setup
  rm -f /etc/console-setup/cached_*
  setupcon --save-only
fi
ln -sf ../run/systemd/resolve/resolv.conf /etc/resolv.conf

printf 'IMAGE_ID=keyvisor\nIMAGE_VERSION=%s\n' "$VERSION" >> /usr/lib/os-release
# It asks for a virtual socket that few machines have, and complains on every console.
mkdir -p /etc/systemd/system-generators
ln -sf /dev/null /etc/systemd/system-generators/systemd-ssh-generator

# Where the stick's other partitions and its kept state appear.
mkdir -p /data /etc/ssh/keys /etc/ssh/authorized_keys /etc/libvirt/nwfilter /etc/libvirt/secrets \
  /etc/libvirt/storage /var/log/keyvisor /var/log/journal /var/lib/systemd /var/lib/swtpm-localca
rm -rf /etc/libvirt/qemu/networks/default.xml /etc/libvirt/qemu/networks/autostart
: > /etc/machine-id

# Services start because Keyvisor or the user says so, not because a package was installed.
mkdir -p /etc/systemd/system-preset
for preset in /usr/lib/systemd/system-preset/*.preset; do
  case $preset in */*keyvisor.preset) ;; *) ln -sf /dev/null "/etc/systemd/system-preset/${preset##*/}" ;; esac
done

# What is made from files, also from the user's own: their units are enabled by presets of theirs.
kernel=$(basename /usr/lib/modules/*)
lay_files
systemctl --quiet preset-all
ldconfig
journalctl --update-catalog
if has_files "/modules/$kernel/"; then depmod "$kernel"; fi

# The stock way in for a credential's key would also be open on real hardware: keyvisor-trial-key.service is ours.
mkdir -p /etc/tmpfiles.d
ln -sf /dev/null /etc/tmpfiles.d/provision.conf
# Not presets: static units that a stick never needs. Each costs seconds of a first boot.
for unit in systemd-repart.service systemd-growfs-root.service ldconfig.service systemd-journal-catalog-update.service \
  systemd-update-done.service systemd-hwdb-update.service systemd-firstboot.service e2scrub_reap.service \
  systemd-pcrmachine.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done

# Only confinement that is used: a hundred unused profiles cost half a minute of an emulated boot.
find /etc/apparmor.d -maxdepth 1 -type f ! -name 'usr.sbin.libvirtd' ! -name 'usr.lib.libvirt.virt-aa-helper' \
  ! -name 'usr.bin.swtpm' ! -name usr.sbin.dnsmasq -delete
# Locales, docs and icons that the packages' own exclusion did not reach.
find /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale -mindepth 1 -delete 2>/dev/null || :
rm -rf /usr/share/icons /usr/share/pixmaps /usr/share/bash-completion /initrd.img* /vmlinuz*
rm -rf /var/lib/dpkg/*-old /etc/*- /etc/.pwd.lock /tmp/* /var/tmp/*
find /var/log /var/cache -type f -delete

lay_files_again
