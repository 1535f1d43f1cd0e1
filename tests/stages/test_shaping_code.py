"""Which code shapes the rows of a dataset, so that a change of it makes the dataset anew."""

import re
from pathlib import Path

import pytest

import fireact_ray
from fireact_ray.stages.convert import shaping_code

pytestmark = [pytest.mark.ray, pytest.mark.torch]  # which these import


def test_a_change_of_code_that_shapes_no_row_converts_nothing_anew():
    home = Path(fireact_ray.__file__).parent
    shaping = {file.relative_to(home).as_posix() for file in shaping_code()}
    assert {"rendering/plain.py", "data/selection/filters.py", "core/grammar.py", "stages/convert.py"} <= shaping
    rooms = {name.split("/")[0] for name in shaping}
    assert rooms == {"core", "tasks", "rendering", "data", "stages"}
    assert {name for name in shaping if name.startswith("stages/")} == {"stages/convert.py", "stages/convert_blocks.py"}


def test_rooms_that_shape_rows_import_no_code_that_is_not_hashed():
    """But for the names of methods, which a setting is checked against."""
    home = Path(fireact_ray.__file__).parent
    rooms = {"core", "tasks", "rendering", "data"}
    code = "\n".join(
        file.read_text(encoding="utf-8") for file in shaping_code() if file.relative_to(home).parts[0] in rooms
    )
    code = re.sub(r"(?m)^if TYPE_CHECKING:.*\n(?: +.*\n)+", "", code)
    imported = set(re.findall(r"(?m)^\s*from fireact_ray\.([\w.]+) import", code))
    assert {module for module in imported if module.split(".")[0] not in rooms} == {"agent.methods"}
