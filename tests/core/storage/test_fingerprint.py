import hashlib

import numpy as np
import pytest

from fireact_ray.core.storage.fingerprint import dataset_fingerprint, earlier_of_keys, earlier_of_rows, row_digest

A = ("a", np.array([8, 9], np.int32), np.array([0, 1], np.int8))
B = ("b", np.array([5, 6, 7], np.int32), np.array([0, 1, 1], np.int8))


def fingerprint(*rows, renderer="f00d"):
    return dataset_fingerprint([row_digest(*row) for row in rows], renderer)


def test_the_order_of_rows_changes_nothing():
    assert fingerprint(A, B) == fingerprint(B, A) == "7fd877c0e16fffd7"


@pytest.mark.parametrize(
    "other",
    [
        ("c", A[1], A[2]),
        ("a", A[1][::-1].copy(), A[2]),
        ("a", A[1], np.array([1, 1], np.int8)),
        ("a", A[1][:1], A[2][:1]),
    ],
)
def test_a_row_with_another_key_id_mask_or_length_is_another_dataset(other):
    assert fingerprint(other, B) != fingerprint(A, B)


def test_a_row_more_or_twice_and_another_renderer_are_another_dataset():
    found = [
        fingerprint(A, B),
        fingerprint(A),
        fingerprint(A, A),
        fingerprint(A, A, B),
        fingerprint(A, B, renderer="x"),
    ]
    assert len(set(found)) == 5


def test_a_digest_is_of_the_bytes_of_a_row_in_little_endian():
    by_hand = hashlib.blake2b(b"a 2 " + bytes([8, 0, 0, 0, 9, 0, 0, 0]) + bytes([0, 1]), digest_size=16).digest()
    assert row_digest(*A) == by_hand


def test_the_numbers_of_earlier_versions_stay_what_they_were():
    assert earlier_of_keys(["b", "a"], "f00d") == "4a9225d93793217b"
    assert earlier_of_rows([A, B], "f00d") == "1e4356e03ae8073e"
