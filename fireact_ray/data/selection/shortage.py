"""Where a recipe would take more rows than there are: no error, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fireact_ray.data.selection.candidates import Candidate
from fireact_ray.data.selection.mixing import Group, Mix

_SHOWN = 12  # names: a task may have any number of kinds


@dataclass(frozen=True, slots=True)
class Shortage:
    """`setting`: methods, tasks or kinds. `found`: rows of each group that its mix has room for all of, and for more;
    `most`: how many it has room for, None: any number. `unnamed`: the groups that it leaves out, where it names one
    that no row is of, which may be misspelt."""

    setting: str
    found: Mapping[str, int]
    most: Mapping[str, int | None]
    unnamed: tuple[str, ...]

    def __str__(self) -> str:
        each = [f"{name} {found}{self._of(name)}" for name, found in self.found.items()]
        text = f"convert.{self.setting} would take more rows than there are: {', '.join(each)}"
        if not self.unnamed:
            return text
        shown = [name or "rows of no kind" for name in self.unnamed[:_SHOWN]]
        more = f" and {len(self.unnamed) - _SHOWN} more" if len(self.unnamed) > _SHOWN else ""
        return f"{text}; it leaves out {', '.join(shown)}{more}"

    def _of(self, name: str) -> str:
        most = self.most[name]
        return "" if most is None else f" of {most}"

    def to_dict(self) -> dict[str, Any]:
        groups = {name: {"found": found, "most": self.most[name]} for name, found in self.found.items()}
        return {"groups": groups, "unnamed": list(self.unnamed)}


def shortage(
    setting: str, mix: Mix, group: Group, rows: Sequence[Candidate], there: Sequence[Candidate]
) -> Shortage | None:
    """None where there are as many rows as the mix, of numbers at most, has room for. `rows`: of groups that all mixes
    name; `there`: with the others."""
    counts = Counter(map(group, rows))
    most = {name: None if number is None else int(number) for name, number in mix.items()}
    found = {name: counts[name] for name in mix if counts[name] < (most[name] or 1)}
    if not found:
        return None
    unnamed = set() if all(found.values()) else {group(row) for row in there} - mix.keys()
    return Shortage(setting, found, {name: most[name] for name in found}, tuple(sorted(unnamed)))
