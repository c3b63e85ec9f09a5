# Unpacks .debs into a tools tree, as the calling user: no maintainer scripts, no owners.
#
# TREE   folder to fill; must be empty
# Arguments: the .debs, in any order

tree=$TREE
# Debian's merged /usr (base-files makes these links on a real system).
mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib" "$tree/usr/lib64" "$tree/etc"
for link in bin sbin lib lib64; do ln -s "usr/$link" "$tree/$link"; done
# tar(1) reads escapes in the folder of its option -C.
for deb in "$@"; do
  dpkg-deb --fsys-tarfile "$deb" | (cd "$tree" && tar -x --keep-directory-symlink --no-same-owner)
done
# A place for the machine's own, which is bound over it for tools that use the network.
: > "$tree/etc/resolv.conf"
