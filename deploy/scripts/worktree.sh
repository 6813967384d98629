# What a move of the clone to another commit would lose; changes nothing.
# Expects besides the shared variables: remote, branch, protected (array). The functions leave what they find in
# arrays, and in files in the folder work, which the script makes (owned_folder) and removes.
path=${path%/}
git_folder=${git_folder-$(git_ rev-parse --absolute-git-dir || true)}

# plain ARGUMENT...: git without the hooks, watchers and upkeep that the clone may have set up. What it writes is
# on the disk before it ends, so that a power cut can't take what was just saved.
plain() {
  git_ -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.safecrlf=false -c core.fsync=all \
    -c gc.auto=0 -c maintenance.auto=false "$@"
}

# copied ARGUMENT...: git on the copy of the index, so that the user's own stays as it is.
copied() { GIT_INDEX_FILE=$work/index plain "$@"; }

# read_names FILE ARRAY: NUL-terminated names.
read_names() {
  local -n into=$2
  local name
  into=()
  while IFS= read -r -d '' name; do into+=("$name"); done <"$1"
}

quoted() { # WORD: as a shell reads it back
  case $1 in
    '' | *[!A-Za-z0-9_./:@%+=,-]*) printf "'%s'" "${1//\'/\'\\\'\'}" ;;
    *) printf '%s' "$1" ;;
  esac
}

# as_owner: what has to stand before a git command that somebody types in, since git refuses all but the clone's owner.
as_owner() {
  local owner
  owner=$clone_owner
  case $(id -u)/$owner/${SUDO_USER:-root} in
    0/root/root) ;;
    0/root/*) printf 'sudo ' ;;
    0/*/root) printf 'runuser -u %s -- ' "$owner" ;;
    0/*) printf 'sudo -u %s ' "$owner" ;;
  esac
}

is_link_or_exists() { [ -L "$1" ] || [ -e "$1" ]; }

# find_protected COMMIT: its files that must never be overwritten: what is protected, lies in what is, or stands where a
# folder with something protected is.
find_protected() {
  local entry folder found
  tracks_protected=()
  [ ${#protected[@]} != 0 ] || return 0
  plain --literal-pathspecs ls-tree -r -z --full-tree --name-only "$1" -- "${protected[@]%/}" >"$work/protected"
  for entry in "${protected[@]%/}"; do
    folder=$entry
    while [[ $folder == */* ]]; do
      folder=${folder%/*}
      # In a call of its own: beside a path in it, all that the folder holds would be listed.
      found=$(plain --literal-pathspecs ls-tree --full-tree "$1" -- "$folder")
      [[ -z $found || $found == '040000 tree '* ]] || printf '%s\0' "$folder"
    done
  done >>"$work/protected"
  read_names <(sort -zu "$work/protected") tracks_protected
}

read_position() {
  old=$(plain rev-parse -q --verify 'HEAD^{commit}' || true)
  position=$(plain symbolic-ref -q HEAD || true)
  unfinished=() merging=()
  local name
  for name in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD rebase-merge rebase-apply sequencer; do
    [ ! -e "$git_folder/$name" ] || unfinished+=("$name")
  done
  if [ -e "$git_folder/MERGE_HEAD" ]; then
    while read -r name; do merging+=("$name"); done <"$git_folder/MERGE_HEAD"
  fi
}

# The copied index shows what the user's hides: git overwrites an --assume-unchanged file without a word, and stops
# at a --skip-worktree file that the planned commit changes.
copy_index() { # COMMIT
  local entry name
  local -A differs=()
  : >"$work/absent"
  # Its time of change tells git which entries it has to read again, so it is kept.
  [ ! -e "$git_folder/index" ] || cp -p "$git_folder/index" "$work/index"
  [ "$(id -u)" != 0 ] || [ ! -e "$work/index" ] || chown --reference="$path" "$work/index"
  plain diff-index --cached --name-only -z "$1" -- >"$work/differs"
  while IFS= read -r -d '' name; do differs[/$name]=1; done <"$work/differs"
  plain ls-files -v -z | grep -zE '^(S|[a-z])' >"$work/flags" || true
  while IFS= read -r -d '' entry; do
    name=${entry:2}
    if ! is_link_or_exists "$path/$name"; then
      # Git believes that it is there, so it does not tell what stands in its way.
      [[ $entry == S* || -n ${differs[/$name]-} ]] || printf ':100644 D\0%s\0' "$name" >>"$work/absent"
      continue
    fi
    case $entry in
      S*) [ -z "${differs[/$name]-}" ] || printf '%s\0' "$name" ;;
      [a-z]*) printf '%s\0' "$name" ;;
    esac
  done <"$work/flags" >"$work/hidden"
  [ -s "$work/hidden" ] || return 0
  copied update-index --no-assume-unchanged -z --stdin <"$work/hidden"
  copied update-index --no-skip-worktree -z --stdin <"$work/hidden"
}

# Tracked files that differ from HEAD, in the index or on disk. What is checked out of a submodule lies in that.
find_changes() {
  local entry pathspec=(.)
  for entry in ${protected[@]+"${protected[@]}"}; do pathspec+=(":(exclude,top,literal)${entry%/}"); done
  copied status --porcelain -z -uno --no-renames --ignore-submodules=all -- "${pathspec[@]}" >"$work/status"
  changes=()
  while IFS= read -r -d '' entry; do changes+=("${entry:3}"); done <"$work/status"
  protected_pathspec=()
  for entry in ${protected[@]+"${protected[@]}"}; do protected_pathspec+=(":(top,literal)${entry%/}"); done
  [ ${#protected_pathspec[@]} = 0 ] || plain ls-files -z -- "${protected_pathspec[@]}" >"$work/tracked-protected"
}

# Files that git does not know, on disk where the planned commit has a file or needs a folder: the reset would replace them.
# What the index has too is in nobody's way, unless it is missing on disk or a folder there.
find_endangered() { # COMMIT
  local header mode name file folder rest
  endangered=()
  : >"$work/endangered"
  # The files of where the clone is, and all of them are there: none of them is in the way of itself.
  if [ "$1" = "$old" ] && [ ${#changes[@]} = 0 ]; then return 0; fi
  local -A tracked=() blocked=()
  copied diff-index -z --raw --no-renames --ignore-submodules=dirty "$1" -- >"$work/different"
  cat "$work/absent" >>"$work/different"
  while IFS= read -r -d '' header && IFS= read -r -d '' name; do
    case $header in
      *A) continue ;;
      *[MT]) [[ -d $path/$name && ! -L $path/$name ]] || ! is_link_or_exists "$path/$name" || continue ;;
    esac
    mode=${header:1:6} rest=$name folder=
    while [[ $rest == */* ]]; do
      folder+=${rest%%/*} rest=${rest#*/}
      if [ -z "${blocked[/$folder]-}" ]; then
        blocked[/$folder]=no
        if [ -L "$path/$folder" ] || { [ -e "$path/$folder" ] && [ ! -d "$path/$folder" ]; }; then
          blocked[/$folder]=yes
          printf '%s\0' "$folder"
        fi
      fi
      [ "${blocked[/$folder]}" = no ] || continue 2
      folder+=/
    done
    file=$path/$name
    if [ ! -d "$file" ] || [ -L "$file" ]; then
      ! is_link_or_exists "$file" || printf '%s\0' "$name"
    elif [ "$mode" != 160000 ]; then
      find "$file" ! -type d -print0 >"$work/found"
      while IFS= read -r -d '' rest; do printf '%s\0' "${rest#"$path/"}"; done <"$work/found"
    fi
  done <"$work/different" >"$work/in-the-way"
  [ -s "$work/in-the-way" ] || return 0
  plain ls-files -z >"$work/tracked"
  while IFS= read -r -d '' name; do tracked[/$name]=1; done <"$work/tracked"
  while IFS= read -r -d '' name; do
    [ -n "${tracked[/$name]-}" ] || printf '%s\0' "$name"
  done <"$work/in-the-way" >"$work/endangered"
  read_names "$work/endangered" endangered
}

# What the remote's branch had once is no loss, though somebody may have rewritten it since: it had what was fetched, and
# what runs brought from it.
find_once_there() {
  {
    plain log -g --no-show-signature --no-color --format=%H "refs/remotes/$remote/$branch" -- 2>/dev/null || true
    awk -F '\t' '$3 == "hot-update" || $3 == "sync" {print $6}' "$git_folder/hot-update/history" 2>/dev/null || true
  } | sort -u | plain cat-file --batch-check='%(objecttype) %(objectname)' | sed -n 's/^commit /^/p' >"$work/once-there"
}

# Of where the clone is, what the remote's branch had once and has no more: the newest such commit, and how many.
find_gone() {
  gone=0 gone_from=
  local tip
  tip=$(plain rev-parse -q --verify "refs/remotes/$remote/$branch^{commit}") || return 0
  [ -n "$old" ] && ! plain merge-base --is-ancestor "$old" "$tip" || return 0
  plain rev-list "$old" "^$tip" >"$work/not-there"
  plain rev-list --stdin "$old" "^$tip" <"$work/once-there" >"$work/never-there"
  gone_from=$(grep -vxFf "$work/never-there" "$work/not-there" | head -n 1) || true
  [ -z "$gone_from" ] || gone=$(($(wc -l <"$work/not-there") - $(wc -l <"$work/never-there")))
}

# Commits that only HEAD, an unfinished merge or the local branch holds. Another local branch keeps its own.
find_unpushed() {
  local elsewhere=(--not --remotes "--exclude=$branch" --branches) own=()
  find_once_there
  heads=(${old:+"$old"} ${merging[@]+"${merging[@]}"})
  local_branch=$(plain rev-parse -q --verify "refs/heads/$branch^{commit}" || true)
  own=(${heads[@]+"${heads[@]}"} ${local_branch:+"$local_branch"})
  unpushed=() unpushed_here=0 unpushed_on_branch=0
  [ ${#own[@]} != 0 ] || return 0
  plain log -z --no-show-signature --no-color --abbrev=7 --format='%h %s' --stdin "${own[@]}" "${elsewhere[@]}" \
    <"$work/once-there" >"$work/unpushed"
  read_names "$work/unpushed" unpushed
  [ ${#heads[@]} = 0 ] || unpushed_here=$(plain rev-list --count --stdin "${heads[@]}" "${elsewhere[@]}" <"$work/once-there")
  [ -z "$local_branch" ] ||
    unpushed_on_branch=$(plain rev-list --count --stdin "$local_branch" "${elsewhere[@]}" ${heads[@]+"${heads[@]}"} \
      <"$work/once-there")
}

# find_losses COMMIT: everything that being at this commit, on the branch, would lose.
find_losses() {
  find_protected "$1"
  read_position
  copy_index "$1"
  find_changes
  find_endangered "$1"
  find_unpushed
}
