"""Search that forgives typing: texts as sets of short pieces, found by how many they share.

Latin words are cut into pieces of three letters with their ends marked, so that a letter left out
costs three pieces and not the word; scripts without blanks between words into pieces of two. A
piece counts by how rare it is (inverse document frequency).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

MAX_QUERY = 200
# What shares less of the query's weight is no answer.
LEAST_SCORE = 0.35
# How much the rest of a text takes from its score: of two that have all of the query the shorter
# one is meant.
_REST = 0.08
_WORD = re.compile(
    r"[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_DROPPED = re.compile(r"[^\w/\u3040-\u30ff]+")
_QUOTES = re.compile("['\u2019]")
# 004/102 is 4/102.
_ZEROS = re.compile(r"(?<![\w])0+(?=\d)")
_HIRAGANA, _KATAKANA, _KATAKANA_END = 0x3041, 0x30A1, 0x30F6


def normalise(text: str) -> str:
    """One spelling of a text: width, case, accents, katakana for hiragana, punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if not plain.isascii():
        bare = unicodedata.normalize("NFD", plain)
        # The marks that make ぱ of は are letters' parts; accents are not.
        kept = (c for c in bare if not unicodedata.combining(c) or c in "\u3099\u309a")
        plain = unicodedata.normalize("NFC", "".join(kept)).translate(_FOLDED)
    return _DROPPED.sub(" ", _ZEROS.sub("", _QUOTES.sub("", plain))).strip()


_FOLDED = {code: _HIRAGANA + code - _KATAKANA for code in range(_KATAKANA, _KATAKANA_END + 1)}


def pieces(text: str) -> Iterator[str]:
    """The pieces of a normalised text; with repeats."""
    for word in _WORD.findall(text):
        if word[0] >= "\u3040":
            if len(word) == 1:
                yield word
            yield from (word[at : at + 2] for at in range(len(word) - 1))
            continue
        marked = f" {word} "
        yield from (marked[at : at + 3] for at in range(max(1, len(marked) - 2)))


@dataclass(frozen=True, slots=True)
class Postings:
    """By piece the texts that have it. `weights` is the rarity of each piece, `sizes` the summed
    weight of each text's pieces."""

    places: dict[str, int]
    starts: Ints
    texts: Ints
    weights: Floats
    sizes: Floats

    @classmethod
    def of(cls, texts: Sequence[str]) -> Postings:
        """Those of texts, by their places."""
        lists: defaultdict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            for piece in set(pieces(normalise(text))):
                lists[piece].append(place)
        counts = np.fromiter(map(len, lists.values()), np.int64, len(lists))
        starts = np.zeros(len(lists) + 1, np.int32)
        np.cumsum(counts, out=starts[1:])
        flat = np.fromiter(
            (place for found in lists.values() for place in found), np.int32, int(counts.sum())
        )
        weights = np.log1p(len(texts) / np.maximum(counts, 1)).astype(np.float32)
        sizes = np.bincount(flat, np.repeat(weights, counts), len(texts)).astype(np.float32)
        return cls({piece: at for at, piece in enumerate(lists)}, starts, flat, weights, sizes)

    def scores(self, query: str) -> Floats:
        """By text from 0 to 1 how much of the query it has; 0 below LEAST_SCORE."""
        asked = set(pieces(normalise(query)))
        known = [self.places[piece] for piece in asked if piece in self.places]
        if not known:
            return np.zeros(len(self.sizes), np.float32)
        # A piece that nothing has was most likely typed wrongly: it counts as a common one.
        unknown = (len(asked) - len(known)) * float(np.median(self.weights[known]))
        whole = float(self.weights[known].sum()) + unknown
        found = [self.texts[self.starts[at] : self.starts[at + 1]] for at in known]
        shares = [
            np.full(len(part), self.weights[at]) for at, part in zip(known, found, strict=True)
        ]
        total = np.bincount(np.concatenate(found), np.concatenate(shares), len(self.sizes))
        rest = np.maximum(self.sizes - total, 0) / whole
        share = total / whole
        scores = share / (1 + _REST * rest)
        return np.where(share >= LEAST_SCORE, scores, 0).astype(np.float32)
