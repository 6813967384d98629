# Folders that are made from sources of the repository, and that git does not know: what is built, known by a digest of its
# sources. Changes nothing by itself. Expects trees.sh and what that expects.

# sources COMMIT PATHSPEC...: the digest of what a commit has there, as the same question to a clone's own index answers it.
sources() {
  local index=$scratch/index-sources-$BASHPID
  [ -n "$1" ] && aside read-tree "$1" || return
  aside ls-files -s -z -- "${@:2}" | git_ hash-object --stdin
}

# built_in_clone PATH DIGEST PATHSPEC...: how that folder of the clone is: none, built from these sources (same: its own digest
# says so; younger: so do the clone's files and its age), from other ones, or older than them.
built_in_clone() {
  local folder=$path/$1 digest=
  [ -d "$folder" ] || { echo none; return; }
  if [ -e "$folder/.sources" ]; then
    read -r digest <"$folder/.sources" || true
    if [ "$digest" = "$2" ]; then echo same; else echo other; fi
  elif [ "$(git_ ls-files -s -z -- "${@:3}" | git_ hash-object --stdin)" != "$2" ] || ! git_ diff --quiet -- "${@:3}"; then
    echo other
  elif [ -z "$(newer_sources "$folder" "${@:3}")" ]; then
    echo younger
  else
    echo older
  fi
}

# newer_sources FOLDER PATHSPEC...: the first of these files that is newer than everything in the folder.
newer_sources() {
  local newest
  newest=$(find "$1" -type f -printf '%T@\n' | sort -n | tail -n 1)
  # No file at all is older than any.
  git_ ls-files -z -- "${@:2}" | (cd "$path" && xargs -0r stat -c '%.9Y %n') |
    awk -v newest="${newest:-0}" '$1 > newest + 0 {print $2; exit}'
}

# built_store NAME: where what was built is kept on the host, as DIGEST.tar.
built_store() {
  local state
  state=$(state_folder) && printf '%s/built/%s' "$state" "$1"
}

# keep_built NAME DIGEST COMMAND...: keep the tar that a command writes; nothing of one that fails.
keep_built() {
  local store
  store=$(built_store "$1")
  mkdir -p "$store"
  "${@:3}" >"$store/.$2.new" || { rm -f "$store/.$2.new"; return 1; }
  mv "$store/.$2.new" "$store/$2.tar"
  # The newest few: what a rollback may want again.
  (cd "$store" && ls -t -- *.tar | tail -n +6 | xargs -r rm -f --)
  [ "$EUID" != 0 ] || chown -R --reference="$path" "${store%/*}"
}

# ship SETTINGS TAR: bring what was built into the container. Expects containers.sh.
ship() { inside ship "${1%\}}, \"bytes\": $(stat -c %s "$2")}" <"$2"; }
