"""The records that the discovering script answers with: of each kind its fields, in order; * marks text."""

RECORDS = (
    "folder path services",
    "problem kind text*",
    "repository top branch remote upstream",
    "tracked name",
    "upgrading name",
    "env name state",
    "env_key name",
    "container name service state image identity folder files command* ports mounts environment",
    "neighbour alias name",
    "dumper name",
    "ignored container name",
    "inside container facts*",
    "answer url path status server body*",
    "end",
)
