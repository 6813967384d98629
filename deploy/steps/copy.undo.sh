# Bring the files back as they were before the copy. restart.sh follows, for workers may have imported new code meanwhile.
# Expects commit.sh and what that expects with revision as the old one (empty: unknown), container_id and image_id of
# the container that was copied into, undo_settings, compose_file, service, before (healthy or ill).

identity() { docker inspect --type container --format "{{.$1}}" "$container" 2>/dev/null || true; }

leave_alone() {
  echo "$1" >&2
  exit 1
}

[ -n "$(identity Id)" ] || leave_alone "the container $container is gone: nothing was brought back"
if [ "$(identity State.Running)" != true ]; then
  echo "starting $container"
  docker start "$container" >/dev/null
fi
if [ "$(identity Id)" = "$container_id" ]; then
  # An undo that was killed may have brought the files back already, and not have restarted the app.
  again=
  [ ! -e copy.undoing ] || again=1
  : >copy.undoing
  undone=$(inside undo "$undo_settings" </dev/null)
  echo "$undone"
  if [ -z "$again" ] && [ "$undone" = 'the copy had not touched anything' ]; then exit 0; fi
elif [ "$(identity Image)" != "$image_id" ]; then
  leave_alone 'the container was recreated from another image meanwhile: nothing was written into it'
elif [ -z "$revision" ]; then
  echo 'the container was recreated meanwhile and has the code of its image again, as before the update'
  exit 0
else
  echo "the container was recreated meanwhile: it gets every file of ${revision:0:7}"
  scan
  stage false
  apply
fi
