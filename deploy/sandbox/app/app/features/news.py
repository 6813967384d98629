"""What the page says is new."""

TEXT = "first release"
