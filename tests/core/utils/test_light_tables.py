"""Looked at in a process of its own: pyarrow remembers whether it has found pandas."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import sys
import pyarrow as pa
from fireact_ray.core.utils.light_tables import spare_pandas

spare_pandas()
table = pa.Table.from_pylist([{"id": "a", "ids": [1, 2]}])
print("pandas" in sys.modules, table.to_pylist())
print(table.to_pandas().to_dict("list"))
"""


def test_tables_are_made_without_pandas_which_can_be_used_afterwards():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "False [{'id': 'a', 'ids': [1, 2]}]"
    assert done.stdout.splitlines()[1].startswith("{'id': ['a'], 'ids': [array([1, 2])]}")
