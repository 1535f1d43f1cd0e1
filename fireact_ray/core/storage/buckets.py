"""Buckets of an object store (s3://, gs://): which one a URI names, and how this process reaches it.

Credentials are the environment's or the machine's role (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, a pod's or an
instance's identity; Google's application default). Those of ~/.aws need boto3, which knows profiles. A URI may name
`region`, `endpoint_override`, `scheme` and `force_virtual_addressing`, as pyarrow's do. `STORAGE_EMULATOR_HOST` is
Google's own name for where an emulator of its store is, which asks for no credentials.

The first request to a bucket decides within seconds whether it can be worked with; every later one is patient, as
stores are slow, busy and cut off for minutes now and then.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.beside import beside

_SCHEMES = {"s3": "s3", "gs": "gs", "gcs": "gs"}
_OPTIONS = {
    "s3": ("region", "endpoint_override", "scheme", "force_virtual_addressing"),
    "gs": ("endpoint_override", "scheme"),
}
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gs": ("STORAGE_EMULATOR_HOST",)}
_CONNECT_S, _READ_S, _REQUEST_S = 5.0, 30.0, 300.0
_FIRST_S, _PATIENCE_S = 8.0, 180.0
_FIRST_TRIES, _TRIES = 2, 12
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")

Store = Any
Answer = TypeVar("Answer")

_opened: dict[Bucket, Store] = {}
_opening = threading.Lock()


class StoreError(OSError):
    """A store was busy, away or cut off for longer than anybody waits for it."""


class StoreDenied(StoreError, PermissionError):
    """It knows who asks, and refuses."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """`options`, `user`: of its URI; a user is a key and its secret."""

    scheme: str
    name: str
    options: tuple[tuple[str, str], ...] = ()
    user: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}"


def is_object_uri(uri: str) -> bool:
    return uri.partition("://")[0] in _SCHEMES and "://" in uri


def bucket_of(uri: str) -> tuple[Bucket, str]:
    """The bucket, and the key below which the place lies. Raises InputError where the URI names none."""
    shown = re.sub("//[^/@]+@", "//", uri)
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    root, _, key = place.partition("/")
    user, _, name = root.rpartition("@")
    scheme, options = _SCHEMES[scheme], tuple(sorted(parse_qsl(query)))
    if not name:
        raise InputError(f"{shown}: no bucket is named. Write it as {scheme}://bucket/folder.")
    if unknown := sorted({key for key, _ in options} - set(_OPTIONS[scheme])):
        raise InputError(f"{shown}: unknown options {unknown}; known: {', '.join(_OPTIONS[scheme])}.")
    return Bucket(scheme, name, options, user or None), "/".join(part for part in key.split("/") if part)


def store_of(bucket: Bucket, key: str) -> Store:
    """How objects of the bucket are asked for. `key`: where this process has something to do there.

    Raises InputError, within 15 s, where the bucket cannot be found, reached or listed.
    """
    with _opening:
        if bucket not in _opened:
            _demand_answer(bucket, key)
            _opened[bucket] = _made(bucket, _TRIES, _PATIENCE_S)
        return _opened[bucket]


def asked(place: str, call: Callable[[], Answer]) -> Answer:
    """What the store answers to `call`, which may take minutes; a main thread that waits for it can be interrupted.

    What a store says instead becomes an OSError, in a line that holds no secret; a missing object is FileNotFoundError.
    """
    with _as_os_errors(place):
        return call() if threading.current_thread() is not threading.main_thread() else beside(call).result()


@contextmanager
def _as_os_errors(place: str) -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise StoreDenied(f"{place}: {reason_of(error)}") from None
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place}: {reason_of(error)}") from None
    except (BaseError, OSError) as error:
        raise StoreError(f"{place}: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """In a few words: the store's own code, or why there was no answer."""
    text = str(error).partition("\nDebug source")[0]
    if "169.254." in text or "metadata.google" in text:
        return "no credentials were found"
    found = [match.group(1).strip() for match in (_CODE.search(text), _STATUS.search(text)) if match]
    if found:
        return found[0]
    return "no answer" if "error sending request" in text or "timed out" in text else " ".join(text.split())[:200]


def _demand_answer(bucket: Bucket, key: str) -> None:
    try:
        store = _made(bucket, _FIRST_TRIES, _FIRST_S)
        beside(lambda: next(iter(obstore.list(store, key or None, chunk_size=1)), None)).result()
    except (BaseError, OSError) as error:
        reason = reason_of(error)
        raise InputError(f"{bucket}: {_advice(bucket, reason)} ({reason}).") from None


def _advice(bucket: Bucket, reason: str) -> str:
    at = _endpoint(bucket) or "its provider"
    if reason == "NoSuchBucket" or reason.startswith("404"):
        return f"there is no such bucket at {at}. Create it, or name another one"
    if reason == "PermanentRedirect" or "redirect" in reason:
        return "the bucket is in another region. Set AWS_REGION to it"
    if reason == "no answer":
        return f"{at} does not answer. Check the network, {_ENDPOINTS[bucket.scheme][-1]} and endpoint_override"
    if "service account file" in reason:
        return "the credentials cannot be read. Let GOOGLE_APPLICATION_CREDENTIALS name a file of a service account"
    return (
        f"{at} refuses this process. Give it credentials that may list, read, write and delete there, by the "
        "environment or the machine's role"
    )


def _made(bucket: Bucket, n_tries: int, patience_s: float) -> Store:
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "read_timeout": timedelta(seconds=min(_READ_S, patience_s)),
        "timeout": timedelta(seconds=_REQUEST_S if patience_s > _FIRST_S else _FIRST_S),
    }
    retry: Any = {
        "max_retries": n_tries,
        "retry_timeout": timedelta(seconds=patience_s),
        "backoff": {"max_backoff": timedelta(seconds=15.0)},
    }
    endpoint = _endpoint(bucket)
    client["allow_http"] = (endpoint or "").startswith("http://")
    if bucket.scheme == "gs":
        return GCSStore(bucket.name, config=_gs_config(bucket), client_options=client, retry_config=retry)
    config = _s3_config(bucket)
    provider = None if "access_key_id" in config else _profile()
    return S3Store(bucket.name, config=config, client_options=client, retry_config=retry, credential_provider=provider)


def _endpoint(bucket: Bucket) -> str | None:
    """Where the bucket is asked for; None: where its provider is."""
    options = dict(bucket.options)
    named, scheme = options.get("endpoint_override"), options.get("scheme", "https")
    if not named:
        named = next(filter(None, map(os.environ.get, _ENDPOINTS[bucket.scheme])), None)
        scheme = "http" if bucket.scheme == "gs" else "https"  # Google's is a host and a port
    return named if not named or "://" in named else f"{scheme}://{named}"


def _gs_config(bucket: Bucket) -> Any:
    config: dict[str, Any] = {}
    if (endpoint := _endpoint(bucket)) is not None:
        config["base_url"] = endpoint
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        key = {"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": True}
        config["service_account_key"] = json.dumps({**key, "gcs_base_url": endpoint})
    return config


def _s3_config(bucket: Bucket) -> Any:
    config: dict[str, Any] = {}
    options, endpoint = dict(bucket.options), _endpoint(bucket)
    if endpoint is not None:
        config["endpoint"] = endpoint
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region or endpoint:  # others than AWS name none, and take this one
        config["region"] = region or "us-east-1"
    if options.get("force_virtual_addressing", "").lower() in ("1", "true"):
        config["virtual_hosted_style_request"] = True
    if bucket.user is not None:
        key, _, secret = bucket.user.partition(":")
        config |= {"access_key_id": unquote(key), "secret_access_key": unquote(secret)}
    return config


def _profile() -> Any:
    """Credentials as ~/.aws has them, where the environment has none and a file is there. Raises InputError where
    boto3 is missing, which reads them."""
    env = os.environ
    home = Path("~/.aws").expanduser()
    files = (env.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"), env.get("AWS_CONFIG_FILE", home / "config"))
    if "AWS_ACCESS_KEY_ID" in env or not any(Path(file).is_file() for file in files):
        return None
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise InputError(
            f"the credentials of {home} are read by boto3, which is not installed. Install it, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None
    session = boto3.Session()
    return None if session.get_credentials() is None else Boto3CredentialProvider(session)
