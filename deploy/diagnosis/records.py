"""The records that the diagnosing script answers with: of each kind its fields, in order; * marks text."""

RECORDS = (
    "place container path kib free inodes",
    "compose_problem text*",
    "config_problem text*",
    "legacy version",
    "container name service status code killed restarts health started finished error*",
    "memory container limit used kills",
    "words container text*",
    "printed container text*",
    "program container name state told*",
    "supervisor_problem container text*",
    "process container pid seconds kib command*",
    "nginx container status",
    "nginx_line container text*",
    "file folder path sum seconds",
    "sent door path status sum kind cache_control expires date age",
    "refers door page path",
    "log container file text*",
    "journal run line*",
    "end",
)
