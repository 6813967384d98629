# Make the app's folder in the container equal to the commit.
# Expects commit.sh and what that expects.

# What git does not know cannot be had back from git, so it is kept here before it is replaced or removed.
save_unknown() {
  saved=$(state_folder)/saved/$run.tar
  mkdir -p "${saved%/*}"
  inside save "$inside_settings" <"$work/unknown" >"$saved"
  [ "$EUID" != 0 ] || chown --reference="$path" "${saved%/*}" "$saved"
}

may_apply() {
  git_ cat-file --batch-check <"$work/had" | awk '$2 == "missing" {print $1}' >"$work/unknown"
  [ ! -s "$work/unknown" ] && : >"copied-$container"
}

bring false
if [ ! -e "copied-$container" ]; then
  save_unknown
  : >"copied-$container"
  apply
  say 'saved on the host: %s (look into it: %s)' "$saved" "tar -tvf '$saved'"
fi
