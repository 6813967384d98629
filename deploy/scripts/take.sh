# Keep what was built on the laptop, a tar on stdin. Expects built.sh and what that expects, name, digest, expected (its sha256).
set -euo pipefail

work=$(owned_folder)
trap 'rm -rf "$work"' EXIT
cat >"$work/tar"
[ "$(sha256sum <"$work/tar" | cut -d ' ' -f 1)" = "$expected" ] || { say 'it was cut off on its way' >&2; exit 1; }
keep_built "$name" "$digest" cat "$work/tar"
