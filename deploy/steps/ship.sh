# Bring what is built into the container, and first keep what is there, for whoever goes back.
# Expects containers.sh, built.sh and what these expect, run, ship_settings (of each), builds (of each: name, digest of the
# sources of what is there, empty: unknown, digest of those of what comes).

for ((i = 0; i < ${#ship_settings[@]}; i++)); do
  name=${builds[i * 3]} was=${builds[i * 3 + 1]} now=${builds[i * 3 + 2]}
  store=$(built_store "$name")
  if [ -n "$was" ]; then
    [ -s "$store/$was.tar" ] || keep_built "$name" "$was" inside pack "${ship_settings[i]}" </dev/null
  else
    saved=$(state_folder)/saved/$run.$name.tar
    mkdir -p "${saved%/*}"
    inside pack "${ship_settings[i]}" </dev/null >"$saved"
    [ "$EUID" != 0 ] || chown --reference="$path" "${saved%/*}" "$saved"
    say 'saved on the host: %s (nothing tells what it was built from)' "$saved"
  fi
  touch "$store/$now.tar"
  ship "${ship_settings[i]}" "$store/$now.tar"
done
