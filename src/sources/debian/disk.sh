# Turns a packed Debian tree into the root file system of a guest. Runs in the namespace of debian/namespace.ts.
#
# TREE      folder for the tree, empty
# SCRATCH   folder beside it; the caller removes it. Inside: overlay.tar, and what lay.sh reads
# UNPACK    command that unpacks the tree's squashfs to $TREE
# MAKE_EXT4 command that makes $SCRATCH/root.ext4 from $TREE
# UNITS     systemd units to enable
# PLACE     of the guest's packages in the profile
# SOURCE_DATE_EPOCH

eval "$UNPACK"
# tar(1) reads escapes in the folder of its option -C.
(cd "$TREE" && tar -x --keep-directory-symlink -f "$SCRATCH/overlay.tar")
cat > "$SCRATCH/customize.sh" <<'END'
. /run/keyvisor/lay.sh
kernel=$(basename /usr/lib/modules/*)

# Enables unit $2; $1 is its place in the profile.
enable_unit() {
  if ! systemctl --quiet enable "$2" 2> /run/keyvisor-unit; then
    refuse "$1" "the unit $2 cannot be enabled: $(tail -n 1 /run/keyvisor-unit | sed 's/^Failed to enable unit: //')"
  elif [ "$(systemctl is-enabled "$2" 2>/dev/null)" = static ]; then
    refuse "$1" "the unit $2 has no section [Install], and nothing that would start it"
  fi
}

ln -sf ../run/systemd/resolve/resolv.conf /etc/resolv.conf
: > /etc/machine-id
ln -sf "boot/vmlinuz-$kernel" /vmlinuz
ln -sf "boot/initrd.img-$kernel" /initrd.img
lay_files
systemctl --quiet enable systemd-networkd.service systemd-resolved.service keyvisor-hypervisor.service
# Nobody waits here for every card of a machine that may have none; and to look for LVM snapshots of e2scrub's, which
# there are none of, went on for 22 s of an emulated start.
systemctl --quiet mask systemd-networkd-wait-online.service e2scrub_reap.service
index=0
for unit in $UNITS; do
  enable_unit "$PLACE.units[$index]" "$unit"
  index=$((index + 1))
done
stop_refused
depmod "$kernel"
update-initramfs -c -k "$kernel" >/dev/null
rm -rf /var/log/* /var/cache/* /var/lib/initramfs-tools/* /etc/.pwd.lock
mkdir -p /var/log/journal /var/cache/apt/archives/partial
lay_files_again
END
bwrap --die-with-parent --unshare-ipc --unshare-net --unshare-uts --cap-add ALL --bind "$TREE" / --dev /dev --proc /proc \
  --tmpfs /run --tmpfs /tmp \
  --ro-bind "$SCRATCH/files.tar" /run/keyvisor/files.tar --ro-bind "$SCRATCH/files" /run/keyvisor/files \
  --ro-bind "$SCRATCH/lay.sh" /run/keyvisor/lay.sh --bind "$SCRATCH/refused" /run/keyvisor/refused \
  --ro-bind "$SCRATCH/customize.sh" /run/keyvisor/customize.sh -- /bin/sh -eu /run/keyvisor/customize.sh
# bubblewrap makes mount points in the root.
find "$TREE/run" "$TREE/tmp" "$TREE/dev" -mindepth 1 -delete
# What systemd would regenerate when /usr is newer than these (ConditionNeedsUpdate=) was made by the packages already.
touch "$TREE/etc/.updated" "$TREE/var/.updated"
find "$TREE" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-query --admindir="$TREE/var/lib/dpkg" -W -f '${Package} ${Version} ${Architecture}\n' > "$SCRATCH/packages"
eval "$MAKE_EXT4"
