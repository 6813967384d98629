# What is asked of images, and which of the baked ones may go.
# Expects containers.sh for the labels' names.

# image_of NAME: the id of the image that bears it; nothing where there is none.
image_of() { docker inspect --type image --format '{{.Id}}' "$1" 2>/dev/null || true; }

# image_field IMAGE FIELD: of what containers are made with, as JSON.
image_field() { docker inspect --type image --format "{{json .Config.$2}}" "$1"; }

# image_label IMAGE LABEL: its value; nothing where it has none.
image_label() {
  docker inspect --type image --format "{{with .Config.Labels}}{{with index . \"$2\"}}{{.}}{{end}}{{end}}" "$1" 2>/dev/null || true
}

# character IMAGE: what a container that is made from it is like, a line each, but for our own labels.
character() {
  local field format=
  for field in Entrypoint Cmd User WorkingDir Env Healthcheck ExposedPorts Volumes StopSignal; do
    format+="$field {{json .Config.$field}}{{\"\\n\"}}"
  done
  format+='{{range $name, $value := .Config.Labels}}Labels {{$name}}={{json $value}}{{"\n"}}{{end}}'
  docker inspect --type image --format "$format" "$1" | grep -v -e "^Labels $baked_label=" -e "^Labels $base_label=" |
    sed -E 's/ (null|\{\}|\[\]|"")$//'
}

# differing IMAGE OTHER: in which of these they differ.
differing() {
  { grep -vxF -f <(character "$1") <(character "$2") || true; grep -vxF -f <(character "$2") <(character "$1") || true; } |
    cut -d ' ' -f 1 | sort -u | paste -sd ' '
}

# is_used IMAGE: a container was made from it, whether that runs or not.
is_used() { [ -n "$(docker ps --all --quiet --filter "ancestor=$1")" ]; }

# names_of IMAGE: how many it bears.
names_of() { docker inspect --type image --format '{{len .RepoTags}}' "$1" 2>/dev/null || true; }

# drop_nameless IMAGE: remove one that we baked, if it bears no name any more and nothing uses it.
drop_nameless() {
  if [ "$(names_of "$1")" != 0 ] || [ -z "$(image_label "$1" "$baked_label")" ] || is_used "$1"; then return 0; fi
  docker rmi "$1" >/dev/null 2>&1 || true
}
