import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.data.selection.candidates import Candidate
from fireact_ray.data.selection.filters import DropReport, apply_filters

ROWS = [Candidate(str(i), "jsonl", "q", "react", i, 1, 1, b"") for i in range(6)]


def test_a_row_counts_for_the_first_filter_that_it_does_not_pass():
    filters = {
        "even": lambda rows: [row for row in rows if row.attempt % 2 == 0],
        "small": lambda rows: [row for row in rows if row.attempt < 3],
    }
    kept, report = apply_filters(ROWS, filters)
    assert [row.attempt for row in kept] == [0, 2]
    assert report.to_dict() == {"n_in": 6, "n_kept": 2, "dropped": {"even": 3, "small": 1}}


def test_reports_add_up_or_are_refused():
    assert DropReport(6, 4, {"a": 2}).then(DropReport(4, 3, {"b": 1})) == DropReport(6, 3, {"a": 2, "b": 1})
    with pytest.raises(DataError, match="3 in, 1 kept"):
        DropReport(3, 1, {"a": 1})
    with pytest.raises(DataError, match="4 kept, 3 went on"):
        DropReport(6, 4, {"a": 2}).then(DropReport(3, 3, {}))


def test_a_filter_that_makes_rows_up_is_refused():
    with pytest.raises(DataError, match="Filters lost rows"):
        DropReport(1, 2, {"a": 0})
