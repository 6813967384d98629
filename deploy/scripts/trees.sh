# What a commit's tree holds, with the files of its submodules in place of the links to them: each is taken from where
# git keeps its objects, and the clone need not have it checked out. Changes nothing in the clone.
# Expects besides the shared variables: copied, and scratch, a folder of ours that the clone's owner can use.
git_folder=${git_folder-$(git_ rev-parse --absolute-git-dir || true)}

# aside ARGUMENT...: git with an index of our own, whose objects stay out of the clone.
aside() {
  local objects
  objects=$(git_ rev-parse --git-path objects) || return
  GIT_INDEX_FILE=$index GIT_OBJECT_DIRECTORY=$scratch/objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects git_ "$@"
}

# borrow PATH...: from here on git_ finds the objects of every submodule that git knows, and of these work trees.
borrow() {
  local name
  by_owner mkdir -p "$scratch/objects/info"
  {
    [ ! -d "$git_folder/modules" ] || find "$git_folder/modules" -type d -name objects
    for name; do [ ! -d "$path/$name/.git/objects" ] || printf '%s\n' "$path/$name/.git/objects"; done
  } >"$scratch/alternates-$BASHPID"
  [ "$EUID" != 0 ] || chown "$clone_owner" "$scratch/alternates-$BASHPID"
  mv "$scratch/alternates-$BASHPID" "$scratch/objects/info/alternates"
}

links() { grep -zE '^160000 ' || true; }

# flatten COMMIT: the id of a tree in which the files of submodules, at any depth, stand in place of the links to them. A
# link whose commit the clone lacks stays.
flatten() {
  local index=$scratch/index-$BASHPID entry commit name names
  local -A lacking=()
  borrow
  aside read-tree "$1" || return
  while aside ls-files -s -z | links >"$index.links"; do
    names=()
    while IFS= read -r -d '' entry; do
      [ -n "${lacking[${entry#*$'\t'}]-}" ] || names+=("${entry:7}")
    done <"$index.links"
    [ ${#names[@]} != 0 ] || break
    borrow "${names[@]#*$'\t'}"
    for entry in "${names[@]}"; do
      commit=${entry%% *} name=${entry#*$'\t'}
      if ! aside cat-file -e "$commit^{tree}" 2>/dev/null; then lacking[$name]=1; continue; fi
      printf '0 %s\t%s\0' "${commit//?/0}" "$name" | aside update-index -z --index-info || return
      aside read-tree --prefix="$name/" "$commit" || return
    done
  done
  aside write-tree --missing-ok
}

raw_difference() { git_ diff-tree -r -z --raw --no-renames --no-abbrev "$@"; }

# difference FROM TO PATHSPEC...: the files in which two commits differ, as git lists them; without FROM all that TO has.
# Fails where the clone lacks a submodule that matters.
difference() {
  local from=$1 to=$2 list=$scratch/difference-$BASHPID
  [ -n "$from" ] || from=$(git_ hash-object -t tree --stdin </dev/null)
  raw_difference "$from" "$to" -- "${@:3}" >"$list" || return
  if grep -qzE '^:([0-7]+ )?160000 ' "$list"; then
    from=$(flatten "$from") && to=$(flatten "$to") && raw_difference "$from" "$to" -- "${@:3}" >"$list" || return
    ! grep -qzE '^:([0-7]+ )?160000 ' "$list" || return
  fi
  cat "$list"
}

# entries BASE COMMIT: what differs between them in the files that are copied, as deploy/inside reads it; without a base,
# all of the commit's. Prints nothing, and fails, where that is not known to the end.
entries() {
  local base=$1 list=$scratch/entries-$BASHPID
  if [ -n "$2" ]; then
    difference "$base" "$2" "${copied[@]}" >"$list" ||
      { base=; difference '' "$2" "${copied[@]}" >"$list"; } || return
  else
    : >"$list"
  fi
  printf '%s\0' "$base"
  cat "$list"
  printf '\0'
}

# know_submodules: what lies in a submodule that did not change may be wanted too.
know_submodules() {
  if [ -d "$git_folder/modules" ] || [ -e "$path/.gitmodules" ]; then borrow; fi
}
