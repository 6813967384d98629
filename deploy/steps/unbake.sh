# Give the names of baked images back to those that bore them before.
# Expects containers.sh, images.sh, names, repositories (each name without its tag).

for i in "${!names[@]}"; do
  name=${names[i]} before=${repositories[i]}:before-bake
  [ -n "$(image_label "$name" "$baked_label")" ] || { say '%s is no image that was baked' "$name" >&2; exit 1; }
  [ -n "$(image_of "$before")" ] || { say 'there is no image %s' "$before" >&2; exit 1; }
done
for i in "${!names[@]}"; do
  docker tag "${repositories[i]}:before-bake" "${names[i]}"
  docker rmi "${repositories[i]}:before-bake" >/dev/null
  say '%s := %s' "${names[i]}" "${repositories[i]}:before-bake"
done
