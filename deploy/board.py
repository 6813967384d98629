"""What is drawn below the lines of a terminal and kept up to date there: the lines that are written pass above it."""

import io
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from deploy import output

if TYPE_CHECKING:
    from rich.console import RenderableType

# Seconds between two drawings, where nothing is written.
OFTEN = 0.25


class Board:
    """Draws what `content` gives, from a thread of its own too; `writing` is held by whoever writes to the terminal."""

    def __init__(self, content: "Callable[[], RenderableType]", writing: threading.RLock) -> None:
        from rich.console import Console
        from rich.live_render import LiveRender

        self._content, self._writing = content, writing
        self._console = Console(file=io.StringIO(), force_terminal=True, highlight=False, markup=False)
        self._drawn = LiveRender("")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    @staticmethod
    def possible() -> bool:
        """Is standard output a terminal whose lines can be drawn over?"""
        from rich.console import Console

        return output.is_terminal("stdout") and not Console(file=sys.stdout).is_dumb_terminal

    @property
    def is_open(self) -> bool:
        return not self._over.is_set()

    @property
    def width(self) -> int:
        return self._console.width

    def open(self) -> None:
        with self._writing:
            output.write(self.draw())
        self._thread.start()

    def close(self) -> None:
        """Draw it for the last time, and leave it there."""
        if self._over.is_set():
            return
        self._over.set()
        with self._writing:
            drawn = f"{self.erase()}{self.draw()}"
            output.write(f"{drawn}\n" if self._drawn.last_render_height else drawn)

    def erase(self) -> str:
        """What takes it off the screen."""
        with self._console.capture() as written:
            self._console.control(self._drawn.position_cursor())
        return written.get()

    def draw(self) -> str:
        """What puts it below the last line."""
        self._drawn.set_renderable(self._content())
        with self._console.capture() as written:
            self._console.print(self._drawn, end="")
        return written.get()

    def _keep(self) -> None:
        while not self._over.wait(OFTEN):
            with self._writing:
                if not self._over.is_set():
                    output.write(self.erase() + self.draw())
