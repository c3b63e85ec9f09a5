# Runs a command with a clock that is CLOCK off, such as +1500d, for all that a build starts: the builder's own programs,
# maintainer scripts in the trees and tools of the tools tree. Needs root; nothing of it outlives the command.
#
# FOLDER   for what is laid over the machine's programs; must be there
# LIBRARY  libfaketime.so.1, as Debian's package has it
# Arguments: the command
#
# A builder starts its tools with an environment of its own, through setpriv and bwrap: wrappers in their places bring
# the preload in, and one of mmdebstrap puts the library into the tree while packages are installed. Times of files stay
# real: they come from the kernel, and a fake one would be no builder's.

mount -t tmpfs clock /mnt
# Whoever builds writes into it.
: > "$FOLDER/years"
chmod 666 "$FOLDER/years"
cp "$LIBRARY" /mnt/libfaketime.so.1
wrap() {
  cp "/usr/bin/$1" "/mnt/$1"
  cat > "$FOLDER/$1"
  chmod 755 "$FOLDER/$1"
  mount --bind "$FOLDER/$1" "/usr/bin/$1"
}
fake="LD_PRELOAD=/mnt/libfaketime.so.1 FAKETIME=$CLOCK NO_FAKE_STAT=1 DONT_FAKE_MONOTONIC=1"

wrap setpriv <<END
#!/bin/sh
exec env $fake /mnt/setpriv "\$@"
END

# What it runs in a root of its own finds the library where the machine has it.
wrap bwrap <<END
#!/bin/bash
for ((at = 1; at <= \$#; at++)); do [ "\${!at}" != -- ] || break; done
set -- "\${@:1:at-1}" --ro-bind /mnt/libfaketime.so.1 /run/clock/libfaketime.so.1 \\
  --setenv LD_PRELOAD /run/clock/libfaketime.so.1 --setenv FAKETIME $CLOCK --setenv NO_FAKE_STAT 1 \\
  --setenv DONT_FAKE_MONOTONIC 1 "\${@:at}"
exec /mnt/bwrap "\$@"
END

wrap mmdebstrap <<END
#!/bin/sh
[ "\$1" != --version ] || exec /mnt/mmdebstrap --version
exec /mnt/mmdebstrap --setup-hook='mkdir -p "\$1"/mnt && cp /mnt/libfaketime.so.1 "\$1"/mnt/' \\
  --customize-hook='chroot "\$1" date +%Y >> "$FOLDER/years"; touch -r "\$1"/mnt "\$1".time; rm "\$1"/mnt/libfaketime.so.1; touch -r "\$1".time "\$1"/mnt' "\$@"
END

# shellcheck disable=SC2086  # several words
exec env $fake "$@"
