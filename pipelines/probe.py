"""Asks a store, before a build, for what exactly-once commits rest on; and for its clock."""

import secrets

from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.errors import StoreError
from schemas.store import Store

FOLDER = "probe"


def check_conditional_puts(store: Store) -> None:
    """Raise StoreError unless a second conditional put of an object is refused and changes nothing.

    A store that takes it would let two builds overwrite each other's commits. A folder is not
    asked: `link` either fails on an existing name or says that it cannot be done.
    """
    if scheme_of(store.uri) not in OBJECT_SCHEMES:
        return
    path = f"{FOLDER}/{secrets.token_hex(8)}"
    first = store.put_new(path, b"first")
    second = store.put_new(path, b"second")
    there = store.get(path)
    store.delete_many([path])
    if not first or second or there != b"first":
        raise StoreError(
            f"{store.uri}: this store does not honor conditional puts (If-None-Match: *): the "
            "second put of an object was answered as if there were none, so two builds could "
            "overwrite each other; use a store that has them (Amazon S3, Google Cloud Storage, "
            "Azure, MinIO, Cloudflare R2), or build to a folder and copy it there"
        )


def clock_s(store: Store) -> float:
    """The store's own time, in seconds since 1970: when it says that an object was just written.

    Ages are told by this clock, so a wrong clock of this machine changes nothing.
    """
    path = f"{FOLDER}/{secrets.token_hex(8)}"
    store.put(path, b"what time is it?")
    # from a listing, as all other times: some servers round the time that they tell of one
    times = [meta.modified_s for meta in store.scan(FOLDER) if meta.path == path]
    store.delete_many([path])
    if not times:
        raise StoreError(
            f"{store.uri}/{path}: was written and is not there; a store must show what it took. Is "
            "something else deleting in this place?"
        )
    return times[0]
