"""A part of a page that a command writes; what stands around it is written by hand."""

END = "<!-- to here -->"


def replaced(text: str, command: str, part: str) -> str:
    """Give the text of a page with another part in the place of what this command wrote."""
    begin = f"<!-- {command} writes this -->"
    head, rest = text.split(begin)
    return f"{head}{begin}\n{part}\n{END}{rest.split(END, 1)[1]}"
