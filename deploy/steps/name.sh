# Give the baked images the names of those that containers are made from, and keep what bore these; old ones go.
# Expects containers.sh, images.sh, revision, names, repositories (each name without its tag), tags (of what each name is
# given to), keep.

# prune REPOSITORY: what was baked of this name goes, but for the newest, what a container uses and what has another name.
prune() {
  local id tag count=0
  docker images --no-trunc --filter "label=$baked_label" --format '{{.ID}} {{.Tag}}' "$1" | while read -r id tag; do
    [[ $tag =~ ^[0-9a-f]{12}$ ]] || continue
    count=$((count + 1))
    if [ "$count" -le "$keep" ] || [ "$(names_of "$id")" != 1 ] || is_used "$id"; then continue; fi
    docker rmi "$1:$tag" >/dev/null
    say 'removed %s: %s are kept' "$1:$tag" "$keep"
  done
}

for tag in "${tags[@]}"; do
  [ "$(image_label "$tag" "$baked_label")" = "$revision" ] || { say '%s is not there any more' "$tag" >&2; exit 1; }
done
for i in "${!names[@]}"; do
  name=${names[i]} before=${repositories[i]}:before-bake
  now=$(image_of "$name") old=$(image_of "$before")
  if [ -n "$now" ] && [ "$now" != "$(image_of "${tags[i]}")" ]; then docker tag "$name" "$before"; fi
  docker tag "${tags[i]}" "$name"
  say '%s := %s' "$name" "${tags[i]}"
  [ -z "$old" ] || drop_nameless "$old"
  prune "${repositories[i]}"
done
