"""All metrics of a data set in one pass."""
from __future__ import annotations

import collections
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, Union

import numpy as np

from sam2unet import _native
from sam2unet.metrics.utils import check_strictly

KEYS: tuple[str, ...] = _native.VALUE_KEYS

# Groups beside the classic metrics: their bit, and the beginnings of their keys.
_GROUPS = {
    "HCE": (1, ("HCE",)),
    "MSIoU": (2, ("MSIoU",)),
    "context": (4, ("CM", "CCM")),
    "size-invariant": (8, ("SIMAE", "SIfm", "sample_SIfm", "overall_SIfm")),
    "boundary": (16, ("BIoU", "HD95", "ASSD")),
    "mirror": (32, ("mirror",)),
}

Pair = Union[Sequence[np.ndarray], Callable[[], Sequence[np.ndarray]]]


def _group_of(key: str) -> int:
    for bit, names in _GROUPS.values():
        if key.split(".")[0] in names:
            return bit
    return 0


def _select(metrics: str | Iterable[str] | None) -> tuple[list[str], int]:
    """Keys in the order of KEYS, and the groups that they need."""
    names = ["classic"] if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    wanted: set[str] = set()
    for name in names:
        if name == "all":
            found = list(KEYS)
        elif name == "classic":
            found = [k for k in KEYS if _group_of(k) == 0]
        elif name in _GROUPS:
            found = [k for k in KEYS if _group_of(k) == _GROUPS[name][0]]
        else:
            found = [k for k in KEYS if k == name or k.startswith(name + ".")]
        if not found:
            raise ValueError(f"there is no metric {name!r}: 'all', 'classic', {', '.join(map(repr, _GROUPS))}, or keys "
                             f"such as 'S', 'fm' and 'fm.max'; all of them stand in sam2unet.metrics.evaluation.KEYS")
        wanted.update(found)
    bits = 0
    for key in wanted:
        bits |= _group_of(key)
    return [k for k in KEYS if k in wanted], bits


class Evaluation(Mapping[str, float]):
    """Values of a data set by key, as ``sam2unet eval`` prints them: ``result["S"]``, ``result["fm.max"]``. A mapping,
    picklable, to be merged.

    Attributes:
        images: per picture, in the order in which they came, a dict of the values that a picture has.
        count: pictures that count in the means.
        empty_truths: pictures without foreground, counted or not.
        intervals: with ``bootstrap``, (low, high) by key: 95 % of the resampled data sets.
    """

    def __init__(self, scores: list, keys: list[str], empty: str, bootstrap: int, seed: int, threads: int) -> None:
        self._scores, self._keys, self._empty = scores, keys, empty
        self._bootstrap, self._seed, self._threads = bootstrap, seed, threads
        self._compute()

    def _compute(self) -> None:
        dataset = _native.Dataset(self._empty)
        for scores in self._scores:
            dataset.add(scores)
        self.count, self.empty_truths = dataset.counts()
        values, low, high = dataset.values(self._bootstrap, self._seed, self._threads)
        places = {key: KEYS.index(key) for key in self._keys}
        self._values = {key: float(values[k]) for key, k in places.items()}
        self.intervals = {key: (float(low[k]), float(high[k])) for key, k in places.items()} if self._bootstrap else {}

    @property
    def images(self) -> list[dict[str, float]]:
        wanted = set(self._keys)
        return [{key: float(v) for key, v in zip(KEYS, scores.values()) if key in wanted and v == v}
                for scores in self._scores]

    def merge(self, other: "Evaluation") -> "Evaluation":
        """Takes in the pictures of another evaluation of the same metrics; returns self."""
        if not isinstance(other, Evaluation):
            raise TypeError(f"an Evaluation cannot take in a {type(other).__name__}")
        if (self._keys, self._empty) != (other._keys, other._empty):
            raise ValueError("the two were evaluated with different metrics or different rules for empty truths")
        self._scores = self._scores + other._scores
        self._compute()
        return self

    def __deepcopy__(self, memo: dict) -> "Evaluation":
        return Evaluation(list(self._scores), list(self._keys), self._empty, self._bootstrap, self._seed, self._threads)

    def __getitem__(self, key: str) -> float:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v:.4f}" for k, v in itertools.islice(self._values.items(), 6))
        return f"<Evaluation of {self.count} pictures: {shown}{', ...' if len(self) > 6 else ''}>"


class _Worker(threading.local):
    """A scorer for each thread."""

    groups: int = 0
    scorer: Any = None


def evaluate(pairs: Iterable[Pair], *, metrics: str | Iterable[str] | None = None, threads: int | None = None,
             strict: bool = False, empty: str = "paper", bootstrap: int = 0, seed: int = 0) -> Evaluation:
    """Scores pairs of maps, each read once and by one thread.

    Args:
        pairs: an iterable of ``(pred, gt)`` or ``(pred, gt, img)``: uint8 [H, W], 0..255, of one size, the picture RGB
            uint8 [H, W, 3] (for the key "CCM"). Or of functions that return such a tuple: they are called by the
            threads, which is where files should be read.
        metrics: "classic" (the default), "all", a group ("HCE", "MSIoU", "context", "size-invariant", "boundary",
            "mirror"), a key ("fm.max"), its beginning ("fm"), or several of these.
        threads: how many; all cores that the process may use by default, one in a forked child.
        strict: refuse what `utils.check_strictly` refuses.
        empty: what pictures without foreground count as: "paper", "skip" or "one-if-correct".
        bootstrap: how often to resample the pictures for intervals; 0 for none.
        seed: of the resampling.

    Raises:
        ValueError: shapes, values or names that do not fit; the message tells which pair it was.
        TypeError: maps that are not uint8.
    """
    keys, groups = _select(metrics)
    if empty not in _native.EMPTY:
        raise ValueError(f"empty is {empty!r} and must be one of {', '.join(map(repr, _native.EMPTY))}")
    if threads is None:
        threads = _native.default_threads()
    if threads < 1:
        raise ValueError(f"threads is {threads} and must be at least 1")
    worker = _Worker()

    def score(index: int, pair: Pair) -> _native.Scores:
        if worker.scorer is None:
            worker.scorer = _native.Scorer(groups)
        pred, gt, img = _arrays(pair() if callable(pair) else pair, index)
        try:
            if strict:
                check_strictly(pred, gt, True)
            return worker.scorer.score(pred, gt, img)
        except ValueError as error:
            raise ValueError(f"pair {index}: {error}") from None

    if threads == 1:
        scores = [score(i, pair) for i, pair in enumerate(pairs)]
    else:
        scores = _in_threads(score, pairs, threads)
    return Evaluation(scores, keys, empty, bootstrap, seed, threads)


def _in_threads(score: Callable, pairs: Iterable[Pair], threads: int) -> list:
    """In order, with no more pairs in memory than the threads can use."""
    out: list = []
    with ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque = collections.deque()
        try:
            for i, pair in enumerate(pairs):
                waiting.append(pool.submit(score, i, pair))
                if len(waiting) >= 3 * threads:
                    out.append(waiting.popleft().result())
            out.extend(future.result() for future in waiting)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
    return out


def _arrays(pair: Sequence[Any], index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if len(pair) not in (2, 3):
        raise ValueError(f"pair {index} has {len(pair)} members: (pred, gt) or (pred, gt, img)")
    pred, gt, *rest = (np.asarray(a) if a is not None else None for a in pair)
    img = rest[0] if rest else None
    for name, array, dimensions in (("prediction", pred, 2), ("ground truth", gt, 2), ("picture", img, 3)):
        if array is None and name == "picture":
            continue
        if array.dtype != np.uint8:
            raise TypeError(f"pair {index}: the {name} must be uint8, got {array.dtype}; (255 * p).round().astype('uint8') "
                            "makes maps of probabilities, 255 * mask.astype('uint8') of masks")
        if array.ndim != dimensions or array.size == 0:
            raise ValueError(f"pair {index}: the {name} has the shape {array.shape}: [H, W], and [H, W, 3] for a picture")
    return pred, gt, img
