# Which commit the app's folder has the files of, where nothing there says so. Changes nothing.
# Expects containers.sh, trees.sh and what these expect, remote and branch.

# matching CREATED: the commit, of the newest 200 of the branch when the image was created, none of whose files has other
# bytes in the app's folder; where there is none, of the newest 200 of all; nothing: there is none of these either.
# An image leaves files out (.dockerignore) and makes others, so those that only one side has decide between commits:
# the fewest win, then the newest commit.
matching() {
  local tree found until index=$scratch/index-matching-$container tip=refs/remotes/$remote/$branch
  by_owner mkdir -p "$scratch/objects"
  git_ rev-parse HEAD | awk '{print length}' | inside_timeout=60 inside list "$inside_settings" >"$scratch/listed-$container" &&
    aside update-index -z --index-info <"$scratch/listed-$container" && tree=$(aside write-tree --missing-ok) || return 0
  # Clocks differ, by a time zone at the most.
  until=$(date -d "$1 + 1 day" +%s 2>/dev/null) || until=
  found=$(matching_of "$tree" ${until:+"--until=$until"} "$(git_ rev-parse -q --verify "$tip" || echo HEAD)")
  [ -n "$found" ] || found=$(matching_of "$tree" HEAD --branches --remotes --tags)
  printf '%s' "$found"
}

matching_of() { # TREE COMMITS
  git_ log --no-show-signature --no-color -n 200 --format='%T %H' "${@:2}" -- >"$scratch/commits-$container"
  awk -v tree="$1" '!seen[$1]++ {print $1, tree}' "$scratch/commits-$container" |
    aside diff-tree --stdin -r --raw --no-renames --no-abbrev -- "${copied[@]}" |
    awk -v listed="$(tr -dc '\0' <"$scratch/listed-$container" | wc -c)" "$matching_program" "$scratch/commits-$container" -
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
