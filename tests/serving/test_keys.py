import pickle

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.serving.keys import Keys, add_key, line_of, new_key
from fireact_ray.serving.settings import ServingSettings


def test_a_file_of_hashes_knows_keys_by_name(tmp_path):
    alice, bob = new_key(), new_key()
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\n{line_of('alice', alice)}\n\n  {line_of('bob.2', bob)}\n")
    keys = Keys.read(str(path))
    assert keys.names == ("alice", "bob.2")
    assert (keys.name_of(alice), keys.name_of(bob), keys.name_of(new_key())) == ("alice", "bob.2", None)
    assert keys.name_of("") is None
    assert alice not in path.read_text()


def test_new_keys_are_long_and_never_the_same():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("fr-") and len(key) == 46 for key in keys)


def test_keys_and_settings_travel_between_processes():
    keys = pickle.loads(pickle.dumps(Keys.of({"alice": "fr-secret"})))  # noqa: S301 (our own bytes)
    assert keys.name_of("fr-secret") == "alice"
    assert pickle.loads(pickle.dumps(ServingSettings())) == ServingSettings()  # noqa: S301 (our own bytes)


def test_neither_keys_nor_hashes_are_shown():
    keys = Keys.of({"alice": "fr-secret"})
    assert (repr(keys), str(keys)) == ("Keys(alice)", "Keys(alice)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("alice: fr-a-key-itself\n", "line 1 is not"),
        ("al ice: " + "0" * 64, "line 1 is not"),
        ("a: " + "0" * 64 + "\na: " + "1" * 64, "line 2: the name 'a' stands there twice"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_shows_nothing(tmp_path, text, said):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        Keys.read(str(path))
    assert "fr-a-key" not in str(refused.value)


def test_a_missing_file_and_a_bad_name_are_said(tmp_path):
    with pytest.raises(InputError, match="no file of keys"):
        Keys.read(str(tmp_path / "none"))
    with pytest.raises(InputError, match="no name of a key"):
        line_of("a: b", "k")


def test_keys_are_added_to_a_file_that_is_its_owners_alone(tmp_path):
    path = tmp_path / "keys"
    alice, bob = add_key(str(path), "alice"), add_key(str(path), "bob")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [Keys.read(str(path)).name_of(key) for key in (alice, bob)] == ["alice", "bob"]
    before = path.read_text()
    with pytest.raises(InputError, match="a key named 'bob' already"):
        add_key(str(path), "bob")
    with pytest.raises(InputError, match="no name of a key"):
        add_key(str(path), "c d")
    with pytest.raises(InputError, match="cannot be written"):
        add_key(str(tmp_path / "none" / "keys"), "c")
    assert path.read_text() == before
    assert alice not in before


def test_a_line_without_its_end_is_not_grown(tmp_path):
    path = tmp_path / "keys"
    for text in ("", "# nobody yet", line_of("alice", "fr-a")):
        path.write_text(text)
        bob = add_key(str(path), "bob")
        assert Keys.read(str(path)).name_of(bob) == "bob"
