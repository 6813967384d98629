# Brings the app container back, before anything in it is undone: starts it where it was stopped, and where it was
# recreated meanwhile gives it the old release, with restart.sh, which follows.
# Expects commit.sh, built.sh and what these expect with revision as the old one (empty: unknown), container_id and image_id of
# the container that the plan was made for, install_settings (of the files elsewhere), ship_settings and builds (of
# each: name, digest) of what was built there, and what restart.sh expects.

identity() { docker inspect --type container --format "{{.$1}}" "$container" 2>/dev/null || true; }

# has_release: the old release was baked into the image that it is made from now.
has_release() {
  local label="{{index .Config.Labels \"$baked_label\"}}"
  [ -n "$revision" ] && [ "$(docker inspect --type container --format "$label" "$container")" = "$revision" ]
}

leave_alone() { # FORMAT VALUE...
  say "$@" >&2
  exit 1
}

found=$(identity Id)
[ -n "$found" ] || leave_alone 'the container %s is gone: nothing was brought back' "$container"
if [ "$(identity State.Running)" != true ]; then
  : >revived
  say 'starting %s' "$container"
  control start
fi
[ "$found" != "$container_id" ] || exit 0
: >revived
if [ "$(identity Image)" != "$image_id" ] && ! has_release; then
  leave_alone 'the container was recreated from another image meanwhile: nothing was written into it'
elif [ -z "$revision" ]; then
  say 'the container was recreated meanwhile and has the code of its image again, as before the update'
  exit 0
fi
# Mounted code comes back with the clone.
if [ -n "$mounted" ] && [ "$(git_ rev-parse -q --verify HEAD)" != "$revision" ]; then exit 0; fi
say 'the container was recreated meanwhile: it gets every file of %s' "${revision:0:7}"
bring false
inside install "$install_settings" </dev/null
for ((i = 0; i < ${#ship_settings[@]}; i++)); do
  stored=$(built_store "${builds[i * 2]}")/${builds[i * 2 + 1]}.tar
  [ ! -s "$stored" ] || ship "${ship_settings[i]}" "$stored"
done
