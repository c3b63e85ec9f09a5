# Runs a command with another clock, for all that a build starts: the builder's own programs, maintainer scripts in the
# trees and tools of the tools tree. Needs root; nothing of it outlives the command.
#
# FOLDER   has clock.so, of other-clock.c; what is laid over the machine's programs is written there
# Arguments: the command
#
# A builder starts its tools with an environment of its own, through setpriv and bwrap: wrappers in their places bring
# the preload in, and one of mmdebstrap puts the library into the tree while packages are installed. Times of files stay
# real: they come from the kernel, which a build that is made later shows, too.

mount -t tmpfs clock /mnt
cp "$FOLDER/clock.so" /mnt/
# Whoever builds writes into it.
: > "$FOLDER/years"
chmod 666 "$FOLDER/years"
wrap() {
  cp "/usr/bin/$1" "/mnt/$1"
  cat > "$FOLDER/$1"
  chmod 755 "$FOLDER/$1"
  mount --bind "$FOLDER/$1" "/usr/bin/$1"
}

wrap setpriv <<END
#!/bin/sh
LD_PRELOAD=/mnt/clock.so exec /mnt/setpriv "\$@"
END

# In a root of its own the library is where the machine has it, too.
wrap bwrap <<END
#!/bin/bash
for ((at = 1; at <= \$#; at++)); do [ "\${!at}" != -- ] || break; done
exec /mnt/bwrap "\${@:1:at-1}" --ro-bind /mnt/clock.so /run/clock.so --setenv LD_PRELOAD /run/clock.so "\${@:at}"
END

# The folder's time is given back: it is in the tree.
wrap mmdebstrap <<END
#!/bin/sh
[ "\$1" != --version ] || exec /mnt/mmdebstrap --version
exec /mnt/mmdebstrap --setup-hook='mkdir -p "\$1"/mnt && cp /mnt/clock.so "\$1"/mnt/' \\
  --customize-hook='chroot "\$1" date +%Y >> "$FOLDER/years"' \\
  --customize-hook='touch -r "\$1"/mnt "\$1".time; rm "\$1"/mnt/clock.so; touch -r "\$1".time "\$1"/mnt' "\$@"
END

LD_PRELOAD=/mnt/clock.so exec "$@"
