# Turns a packed Debian tree into the host's root. Runs in the namespace of debian/namespace.ts.
#
# TREE      folder for the tree, empty
# SCRATCH   folder beside it; the caller removes it. Inside: overlay.tar, customize.sh, what lay.sh reads, and secrets,
#           each empty where there is none: password (a line of chpasswd(8)), wifi.conf
# UNPACK    command that unpacks the tree's squashfs to $TREE
# PACK      command that packs $TREE into $SCRATCH/root.squashfs, without the lines of $SCRATCH/not-packed
# and the variables of customize.sh

eval "$UNPACK"
# The files of the user may bring more of both.
kernel=$(basename "$TREE"/usr/lib/modules/*)
(cd "$TREE" && find usr/lib/firmware/intel-ucode usr/lib/firmware/amd-ucode ! -type d 2>/dev/null) > "$SCRATCH/microcode" || :
cut -f2 "$SCRATCH/files" | sed 's,^/,,; s,^lib/,usr/lib/,' > "$SCRATCH/targets"
grep -vxF -f "$SCRATCH/targets" "$SCRATCH/microcode" > "$SCRATCH/not-packed" || :

# tar(1) reads escapes in the folder of its option -C.
(cd "$TREE" && tar -x --keep-directory-symlink -f "$SCRATCH/overlay.tar")
in_root() {
  bwrap --die-with-parent --unshare-ipc --unshare-net --unshare-uts --cap-add ALL "$@"
}
in_root --bind "$TREE" / --dev /dev --proc /proc --tmpfs /run --tmpfs /tmp \
  --ro-bind "$SCRATCH/files.tar" /run/keyvisor/files.tar --ro-bind "$SCRATCH/files" /run/keyvisor/files \
  --ro-bind "$SCRATCH/lay.sh" /run/keyvisor/lay.sh --bind "$SCRATCH/refused" /run/keyvisor/refused \
  --ro-bind "$SCRATCH/password" /run/keyvisor/password --ro-bind "$SCRATCH/wifi.conf" /run/keyvisor/wifi.conf \
  --ro-bind "$SCRATCH/customize.sh" /run/keyvisor/customize.sh -- /bin/sh -eu /run/keyvisor/customize.sh
# bubblewrap makes mount points in the root; /dev is left out of what is packed.
find "$TREE/run" "$TREE/tmp" -mindepth 1 -delete
# Times are those of the build, whatever ran when.
find "$TREE" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-query --admindir="$TREE/var/lib/dpkg" -W -f '${Package} ${Version} ${Architecture}\n' > "$SCRATCH/packages"

# Made beside the packing, from the same root: it keeps one core busy, and changes nothing there.
mkdir "$SCRATCH/boot"
in_root --ro-bind "$TREE" / --dev /dev --proc /proc --tmpfs /run --tmpfs /tmp --tmpfs /var/tmp \
  --bind "$SCRATCH/boot" /mnt -- mkinitramfs -o /mnt/initrd.img "$kernel" &
eval "$PACK"
wait $!
mv "$SCRATCH/boot/initrd.img" "$SCRATCH/"
cp "$TREE/boot/vmlinuz-$kernel" "$SCRATCH/vmlinuz"
chmod 644 "$SCRATCH/vmlinuz" "$SCRATCH/initrd.img"
