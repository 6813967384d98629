# Which commit the app's folder has the files of, where nothing there says so. Changes nothing.
# Expects containers.sh, worktree.sh and what these expect.

# aside ARGUMENT...: git with an index of our own, whose objects stay out of the clone.
aside() {
  local objects
  objects=$(git_ rev-parse --git-path objects) || return
  GIT_INDEX_FILE=$work/index GIT_OBJECT_DIRECTORY=$work/objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects git_ "$@"
}

# matching: the commit, of the newest 200, none of whose files has other bytes in the app's folder; nothing: there is none.
# An image leaves files out (.dockerignore) and makes others, so those that only one side has decide between commits:
# the fewest win, then the newest commit.
matching() {
  local tree
  make_work_folder
  by_owner mkdir "$work/objects"
  if git_ rev-parse HEAD | awk '{print length}' | inside_timeout=60 inside list "$inside_settings" >"$work/listed" &&
    aside update-index -z --index-info <"$work/listed" && tree=$(aside write-tree --missing-ok); then
    git_ log --no-show-signature -n 200 --format='%T %H' HEAD --branches --remotes --tags -- >"$work/commits"
    awk -v tree="$tree" '!seen[$1]++ {print $1, tree}' "$work/commits" |
      aside diff-tree --stdin -r --raw --no-renames --no-abbrev -- "${copied[@]}" |
      awk -v listed="$(tr -dc '\0' <"$work/listed" | wc -c)" "$matching_program" "$work/commits" -
  fi
  rm -rf "$work"
}

matching_program='
NR == FNR { if (!($1 in commit)) commit[$1] = $2; next }
!/^:/ { judge(); tree = $1; next }
$5 == "D" { absent++; next }
$5 == "A" { extra++; next }
$3 != $4 { differs = 1 }
END { judge(); print best }

# A commit that explains less than half of what is there, such as one of the very first, is no match.
function judge() {
  if (tree && !differs && 2 * extra < listed && (!best || absent + extra < fewest)) {
    best = commit[tree]
    fewest = absent + extra
  }
  differs = absent = extra = 0
}
'
