"""A part of a page that a command writes; what stands around it is written by hand."""

END = "<!-- to here -->"


def is_there(text: str, command: str) -> bool:
    """Tell whether a page has a place for what this command writes."""
    return _begin(command) in text


def replaced(text: str, command: str, part: str) -> str:
    """Give the text of a page with another part in the place of what this command wrote."""
    begin = _begin(command)
    head, rest = text.split(begin)
    return f"{head}{begin}\n{part}\n{END}{rest.split(END, 1)[1]}"


def _begin(command: str) -> str:
    return f"<!-- {command} writes this -->"
