import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.stages.jobs.package import RECIPE, pack


def home(folder, **files):
    for name, content in files.items():
        file = folder / "pkg" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder / "pkg"


def packed(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_the_package_and_the_recipe_travel_and_nothing_that_was_left_in_it(tmp_path):
    pkg = home(tmp_path, **{"a.py": "x = 1", "sub__b.py": "y = 2", "data.bin": "0" * 33_000_000})
    for left in (".git/config", ".venv/lib/x.py", "runs/demo/plan.parquet", "__pycache__/a.pyc", "sub/.hidden"):
        (pkg / left).parent.mkdir(parents=True, exist_ok=True)
        (pkg / left).write_text("left")
    (pkg / "link").symlink_to("/etc/passwd")
    into = tmp_path / "job"
    into.mkdir()
    package = pack(into, "name: demo\n", 10_000, pkg)
    assert packed(into) == ["pkg/a.py", "pkg/sub/b.py", RECIPE]
    assert (package.n_files, package.n_bytes, package.too_big) == (3, 5 + 5 + 11, ("data.bin",))
    assert str(package) == "3 files, 21 bytes before compression; left out, as larger than 32.0 MB: data.bin"


def test_a_package_larger_than_ray_takes_is_refused_with_its_largest_files(tmp_path):
    pkg = home(tmp_path, **{"a.py": "x" * 700, "b.py": "y" * 400, "c.py": "z"})
    (tmp_path / "job").mkdir()
    with pytest.raises(
        InputError, match=r"1\.1 KB would go with the job, and Ray takes 1\.0 KB\. .*a\.py \(700 bytes\)"
    ):
        pack(tmp_path / "job", "", 1000, pkg)


def test_the_hash_tells_code_from_other_code(tmp_path):
    codes = []
    for content in ("x = 1", "x = 2", "x = 1"):
        into = tmp_path / f"job{len(codes)}"
        into.mkdir()
        codes.append(pack(into, "", 10_000, home(tmp_path, **{"a.py": content})).code)
    assert codes[0] == codes[2] != codes[1]


def test_this_package_is_a_tenth_of_what_ray_takes(tmp_path):
    assert pack(tmp_path, "", 50_000_000).too_big == ()
    assert (tmp_path / "fireact_ray" / "demo" / "nano" / "model" / "config.json").is_file()
