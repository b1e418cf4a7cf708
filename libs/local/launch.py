"""Starts a program so that it neither outlives its parent nor, where it must not, runs as root.

    python -m libs.local.launch [--as-other] [--on-parent-death SIGNAL] -- PROGRAM ARGUMENT…

PostgreSQL refuses to run as root. `--as-other` puts the program into a user namespace of its own,
in which root outside is an ordinary user inside: nothing is chowned, and the files may lie in
a folder that only root can enter. Where user namespaces are refused it becomes the user "nobody".
It execs, so the program keeps this process's id.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
INSIDE_ID = 1000


def enter_user_namespace() -> bool:
    """Becomes an ordinary user inside a new user namespace; False where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return False
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        return False
    # A group map may only be written once setgroups is given up (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {gid} 1")
    return True


def become_nobody() -> None:
    """Becomes the user "nobody" for good. Raises PermissionError or KeyError."""
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def die_with_parent(number: int, parent: int) -> None:
    """Has the kernel send `number` here when the parent ends. Linux alone can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), number)


def main(arguments: list[str]) -> None:
    parent = os.getppid()
    options, program = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    if "--as-other" in options and os.geteuid() == 0 and not enter_user_namespace():
        become_nobody()
    # After the change of identity, for that clears it.
    if "--on-parent-death" in options:
        name = options[options.index("--on-parent-death") + 1]
        die_with_parent(signal.Signals[name], parent)
    os.execv(program[0], program)  # noqa: S606 # to be the program is what we are for


if __name__ == "__main__":
    main(sys.argv[1:])
