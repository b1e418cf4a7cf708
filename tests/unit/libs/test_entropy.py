"""Random bytes drawn in bulk."""

from __future__ import annotations

import subprocess
import sys
from itertools import count

from libs.entropy import Entropy


class Counting:
    """Draws bytes that tell where they stood, and counts the draws."""

    def __init__(self):
        self.draws = 0
        self._next = count()

    def __call__(self, size):
        self.draws += 1
        return bytes(next(self._next) % 256 for _ in range(size))


def test_each_byte_is_handed_out_once_and_in_few_draws():
    draw = Counting()
    entropy = Entropy(draw, drawn=10)
    taken = [entropy(4) for _ in range(5)]
    # What is left of a draw and too short is thrown away, never joined to what was handed out.
    assert taken == [bytes(range(s, s + 4)) for s in (0, 4, 10, 14, 20)]
    assert draw.draws == 3


FORKS = """
import os
from libs.entropy import shared
shared(16)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, shared(16))
    os._exit(0)
mine = shared(16)
os.waitpid(child, 0)
print(os.read(reader, 16) != mine)
"""


def test_a_forked_child_draws_anew():
    # In a process of its own: this one may have threads, and then must not fork.
    told = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, check=True, text=True)
    assert told.stdout == "True\n"
