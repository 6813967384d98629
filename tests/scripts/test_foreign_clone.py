"""A clone of two users' making: git refuses it as dubious, and the remedy that is told leads out."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from deploy import remedies, shell
from deploy.wording import text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives files to another user")
@pytest.mark.parametrize(("of_folder", "of_git"), [("root", "nobody"), ("nobody", "root")])
def test_a_clone_whose_git_folder_is_somebody_elses_is_given_to_one_user(
    tmp_path: Path, of_folder: str, of_git: str
) -> None:
    path = tmp_path / "the clone"
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    for folder in (tmp_path, *tmp_path.parents):
        # pytest keeps others out of what it makes.
        if folder.owner() == "root" and folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o755)
    subprocess.run(["chown", "-R", of_git, str(path)], check=True)
    subprocess.run(["chown", of_folder, str(path)], check=True)
    script = shell.script(path=str(path)) + "git_ rev-parse --show-toplevel"
    asked = subprocess.run(["bash", "-c", script], cwd="/", capture_output=True, text=True, check=False)
    assert "dubious ownership" in asked.stderr

    told = text(remedies.own_clone("root", str(path)))
    command = told.partition(": ")[2].removesuffix(" on the host")
    subprocess.run(shlex.split(command), check=True)
    asked = subprocess.run(["bash", "-c", script], cwd="/", capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, f"{path}\n")
