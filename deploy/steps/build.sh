# Have on the host, by the digest of its sources, what is built from the commit: what lies in the clone, or what a command
# makes in a clean checkout. Nothing of production is touched.
# Expects built.sh and what that expects, revision, builds (of each: name, folder, digest, command, seconds, pathspecs).
work=$(owned_folder)
trap 'rm -rf "$work"' EXIT
scratch=$work
by_owner mkdir -p "$scratch/objects"

take() { # NAME FOLDER DIGEST PATHSPEC...
  local found
  found=$(built_in_clone "$2" "$3" "${@:4}")
  case $found in
    same | younger) ;;
    *) say '%s is not built from %s any more' "$path/$2" "${revision:0:7}" >&2; exit 1 ;;
  esac
  keep_built "$1" "$3" tar -C "$path/$2" --exclude=./.sources -cf - .
  say '%s: taken from %s' "$1" "$path/$2"
}

# As the clone's owner, in files of their own: what a build writes is thrown away, but for its folder.
make() { # NAME FOLDER DIGEST COMMAND SECONDS
  local tree=$work/tree
  by_owner mkdir "$tree"
  git_ archive "$revision" | by_owner tar -C "$tree" -xf -
  (cd "$tree" && by_owner timeout -k 5 "$5" sh -c "$4") 2>&1
  [ -d "$tree/$2" ] && [ ! -L "$tree/$2" ] || { say '%s made no folder %s' "$4" "$2" >&2; exit 1; }
  keep_built "$1" "$3" tar -C "$tree/$2" --exclude=./.sources -cf - .
  rm -rf "$tree"
  say '%s: built from %s' "$1" "${revision:0:7}"
}

for ((i = 0; i < ${#builds[@]}; i += 6)); do
  mapfile -t specs <<<"${builds[i + 5]}"
  if [ -n "${builds[i + 3]}" ]; then
    make "${builds[@]:i:5}"
  else
    take "${builds[@]:i:3}" "${specs[@]}"
  fi
done
