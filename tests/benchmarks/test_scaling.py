"""docs/scaling.md says what benchmarks.scaling reckons, and that reckons with what stands in the places it names."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.null_teacher import _MEDIAN_S, _SIGMA, _STEP_WEIGHTS, _STEPS
from benchmarks.scaling import figure, limits, main, power
from benchmarks.scaling_constants import Constants, Kind, changed, sources
from benchmarks.scaling_model import Model, largest

ROOT = Path(__file__).parents[2]
PLAIN = Model(Constants())


def test_the_page_shows_the_tables_that_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    tables = [table.strip() for table in capsys.readouterr().out.split("\n\n") if table.strip()]
    assert len(tables) == 4
    assert [table.splitlines()[0] for table in tables if table not in page] == []


def test_each_number_stands_in_the_file_that_it_names() -> None:
    gone = [
        one.name
        for one in sources(Constants())
        if (ROOT / one.place).is_file() and one.words not in (ROOT / one.place).read_text(encoding="utf-8")
    ]
    assert gone == []
    named = [one for one in sources(Constants()) if one.kind in (Kind.MEASURED, Kind.CODE)]
    elsewhere = [one.name for one in named if not (ROOT / one.place).is_file()]
    weighed = ["part_bytes", "journal_bytes", "question_bytes", "paid_bytes", "row_bytes"]
    counted = ["part_reads", "compaction_reads", "journal_reads", "merged_segments"]
    assert elsewhere == [*weighed, *counted]


def test_a_rollout_is_that_of_the_null_teacher() -> None:
    shares = [weight / sum(_STEP_WEIGHTS) for weight in _STEP_WEIGHTS]
    c = PLAIN.c
    assert c.calls == pytest.approx(sum(s * n for s, n in zip(shares, _STEPS, strict=True)))
    prompts = sum(s * (1100 * n + 60 * n * (n - 1) / 2) for s, n in zip(shares, _STEPS, strict=True))
    assert c.prompt_tokens == pytest.approx(prompts, rel=1e-3)
    assert c.completion_tokens == pytest.approx(50 * c.calls, rel=2e-3)
    assert c.call_s == pytest.approx(_MEDIAN_S * math.exp(_SIGMA**2 / 2), rel=2e-3)


def test_the_tighter_of_two_quotas_decides() -> None:
    assert PLAIN.api_rate == pytest.approx(10_000 / 3.375 / 60)
    by_tokens = Model(replace(PLAIN.c, tokens_per_minute=4199 * 60.0))
    assert by_tokens.api_rate == pytest.approx(1)


def test_what_a_hundred_million_take() -> None:
    assert figure(PLAIN.api_days(1e8)) == "23"
    assert figure(PLAIN.api_usd(1e8)) == "940,000"
    assert figure(PLAIN.convert_driver_bytes(1e8) / 1e9) == "250"


def test_ten_times_the_rows_are_ten_times_the_compaction() -> None:
    assert PLAIN.compaction_cpu_hours(1e8) == pytest.approx(10 * PLAIN.compaction_cpu_hours(1e7))
    assert PLAIN.compaction_waiting_hours(1e8) == pytest.approx(10 * PLAIN.compaction_waiting_hours(1e7))


def test_workers_of_a_slow_teacher_write_smaller_parts_and_share_fewer_writes() -> None:
    more = Model(replace(PLAIN.c, workers=40))
    assert more.parts(1e6) == pytest.approx(10 * PLAIN.parts(1e6))
    assert more.journal_puts(1e6) > 2 * PLAIN.journal_puts(1e6)
    assert more.journal_puts(1e6) < 1e6 * 5.75  # one for each reply and observation


def test_a_limit_lies_where_the_cost_reaches_what_is_allowed() -> None:
    assert largest(lambda n: 3 * n, 300.0) == pytest.approx(100, rel=2e-3)
    assert largest(lambda n: n * n, 1e8) == pytest.approx(1e4, rel=2e-3)


def test_limits_are_listed_from_the_first_that_is_reached() -> None:
    small = Model(replace(PLAIN.c, memory_bytes=1e6))
    assert limits(small)[0][:3] == ["driver of evaluate, by a system's rows", "0 GB of memory", "2.5 x 10^2"]
    assert [row[0] for row in limits(PLAIN)][-1] == "copy of the rows on each training machine"


def test_figures_have_two_digits_that_count() -> None:
    assert [figure(x) for x in (0.0614, 2.31, 23.4, 94_000, 0)] == ["0.061", "2.3", "23", "94,000", "0"]
    assert [power(x) for x in (7.13e5, 9.99e6, 1e9)] == ["7.1 x 10^5", "1.0 x 10^7", "1.0 x 10^9"]


def test_constants_are_changed_by_name_and_others_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert changed(Constants(), ["gpus=8"]).gpus == 8
    for wrong in ("gpu=8", "gpus", "gpus=many"):
        with pytest.raises(SystemExit):
            main(["--set", wrong])
        assert "--set takes NAME=VALUE" in capsys.readouterr().err
