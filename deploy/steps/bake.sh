# Make an image of the release that the container runs. The release is brought into a fresh container of the image, which
# never runs the app, so that nothing else comes with it; that is committed. In the container that runs nothing changes.
# Expects commit.sh, redact.sh, images.sh and what these expect with revision as what runs, image (its id), tag (the name of
# the new one), outside (files outside of the code), carried (files and folders within that are not the commit's).

running=$container
container=hot-update-bake-$run
# Beyond this it ends by itself, whatever became of us, and is gone then.
life=1800

leave() {
  docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap leave EXIT

# start_container DOCKER...: of the image, with a sleep in place of what it runs. What its labels say to Compose would have
# it taken for one of the service's.
start_container() {
  local words=(--rm --name "$container" --network none --label "$baked_label=$revision" --label "$base_label=$image") name
  [ "$entrypoint" = null ] || words+=(--entrypoint "$python")
  for name in ${composed[@]+"${composed[@]}"}; do words+=(--label "$name="); done
  words+=("$image")
  [ "$entrypoint" != null ] || words+=("$python")
  docker "$@" run --detach "${words[@]}" -I -c "__import__('time').sleep($life)" >/dev/null
}

start() {
  start_container
  # The settings of Docker's client may give proxies, with passwords, to every container that is made.
  if [ "$(docker inspect --format '{{json .Config.Env}}' "$container")" != "$(image_field "$image" Env)" ]; then
    docker rm --force "$container" >/dev/null
    mkdir "$work/client"
    start_container --config "$work/client" --host "$(docker context inspect --format '{{.Endpoints.docker.Host}}')"
  fi
}

refuse_secrets() { # FILE
  docker cp "$running:$1" - | tar -xO >"$work/file"
  { cat "$work/file"; echo; } >"$work/shown"
  redact <"$work/shown" | cmp -s - "$work/shown" && return
  say '%s in %s has a secret of %s in it, and so nothing was baked' "$1" "$running" "$(or_say "$env_file" 'its environment')" >&2
  exit 1
}

# carry PATH: as the running container has it, with owners, modes and times; where that has it not, the image's stays.
carry() {
  docker cp "$running:$1" - >"$work/carried.tar" 2>/dev/null || return 0
  docker exec -u 0 "$container" rm -rf -- "$1"
  docker cp - "$container:${1%/*}/" <"$work/carried.tar"
}

# Of what is ours in there only what tells of the files is of use in another container.
carry_record() {
  local name
  docker exec -u 0 "$container" rm -rf -- "$record_folder"
  docker exec -u 0 "$container" mkdir -p -m 711 -- "$record_folder"
  for name in record built files; do carry "$record_folder/$name.json"; done
  [ -n "$(sum_record)" ] && [ "$(sum_record)" = "$(container=$running sum_record)" ] && return
  say 'what runs in %s is not what ran there when this began' "$running" >&2
  exit 1
}

save_image() {
  local changes=() name made wrong was
  [ "$entrypoint" = null ] || changes+=(--change "ENTRYPOINT $entrypoint")
  [ "$command" = null ] || changes+=(--change "CMD $command")
  for name in ${composed[@]+"${composed[@]}"}; do changes+=(--change "LABEL $name=$(image_label "$image" "$name")"); done
  made=$(docker commit --message "hot-update $revision" ${changes[@]+"${changes[@]}"} "$container")
  wrong=$(differing "$image" "$made")
  if [ -n "$wrong" ]; then
    docker rmi "$made" >/dev/null
    say 'the image would differ from the one that runs in %s, and so nothing was baked' "$wrong" >&2
    exit 1
  fi
  was=$(image_of "$tag")
  docker tag "$made" "$tag"
  [ -z "$was" ] || drop_nameless "$was"
  say '%s := %s' "$tag" "${made:7:12}"
}

# A release is baked into what was not baked: layers do not pile up.
base=$(image_label "$image" "$base_label")
[ -z "$base" ] || [ -z "$(image_of "$base")" ] || image=$base
entrypoint=$(image_field "$image" Entrypoint)
command=$(image_field "$image" Cmd)
if [ "$entrypoint" = null ] && [ "$command" = null ]; then
  say 'the image has neither an entry point nor a command, which docker cannot leave so' >&2
  exit 1
fi
composed=()
for name in com.docker.compose.project com.docker.compose.service; do
  [ -z "$(image_label "$image" "$name")" ] || composed+=("$name")
done
for place in ${outside[@]+"${outside[@]}"}; do refuse_secrets "$place"; done
start
bring false
for place in ${outside[@]+"${outside[@]}"} ${carried[@]+"${carried[@]}"}; do carry "$place"; done
carry_record
save_image
