#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vm_kernel.sh FOLDER: prints the path of a kernel image for virtual machines. The image comes from
# the distribution's package, which is downloaded into FOLDER if it is not there yet, and not
# installed. On failure the reason goes to standard error.
set -eu
folder=$1

fail() {
	echo "vm_kernel: $*" >&2
	exit 1
}

# Prints the package with the newest kernel: Debian's for virtual machines, else Debian's, else
# Ubuntu's.
newest() {
	for meta in linux-image-cloud-amd64 linux-image-amd64 linux-image-virtual; do
		package=$(apt-cache depends "$meta" 2>/dev/null |
			sed -n 's/^ *|\{0,1\}Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
		[ -z "$package" ] || { echo "$package"; return; }
	done
}

image() {
	find "$folder" -name 'vmlinuz-*' -type f 2>/dev/null | sort | tail -n 1
}

[ -z "$(image)" ] || { image; exit 0; }
command -v apt-get >/dev/null 2>&1 || fail 'not a Debian system: name an image with WEIR_VM_KERNEL'
package=$(newest)
[ -n "$package" ] || fail 'apt knows no package with a kernel ("apt-get update" may help)'
mkdir -p "$folder"
(cd "$folder" && apt-get -q download "$package" >&2) || fail "$package cannot be downloaded"
dpkg-deb --fsys-tarfile "$folder/$package"_*.deb | tar -x -C "$folder" --wildcards '*/vmlinuz-*' ||
	fail "$package has no kernel image"
rm -f "$folder/$package"_*.deb
image
