"""Length-limited Huffman codes: how the integer tables of a bundle are made, once, at training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.prefix import MAX_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def code_lengths(counts: NDArray[np.float64], max_bits: int = MAX_BITS) -> NDArray[np.uint8]:
    """Optimal code word lengths of at most `max_bits` for symbols that occur `counts` times.

    Package-merge: L. Larmore and D. Hirschberg, "A fast algorithm for optimal length-limited Huffman
    codes", J. ACM 37(3), 1990. Symbols with a count of 0 get length 0, that is, no code word; a lone
    symbol gets length 1.

    Args:
        counts: Occurrences, shape [symbols], not negative.
        max_bits: Longest code word, in bits.

    Returns:
        Lengths in bits, uint8, shape [symbols].
    """
    counts = np.asarray(counts, dtype=np.float64)
    lengths = np.zeros(counts.size, dtype=np.uint8)
    used = np.flatnonzero(counts > 0)
    if used.size > 1 << max_bits:
        raise ValueError(f"{used.size} symbols do not fit code words of {max_bits} bits")
    if used.size == 1:
        lengths[used] = 1
        return lengths
    # An item is a weight and the symbols in it; each of the n - 1 cheapest pairs adds a bit to its symbols.
    leaves: list[tuple[float, tuple[int, ...]]] = sorted(
        (float(counts[symbol]), (int(symbol),)) for symbol in used
    )
    items = leaves
    for _ in range(max_bits - 1):
        packages = [
            (first[0] + second[0], first[1] + second[1])
            for first, second in zip(items[::2], items[1::2], strict=False)
        ]
        items = sorted(leaves + packages, key=lambda item: item[0])
    for _, symbols in items[: 2 * used.size - 2]:
        np.add.at(lengths, list(symbols), 1)
    return lengths
