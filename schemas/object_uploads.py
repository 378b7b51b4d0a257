"""Multipart uploads that nobody completed: found and ended with botocore, where it is installed.

obstore cannot list them. A bucket's own lifecycle rule is the other cure.
"""

from collections.abc import Iterator
from typing import Any

from schemas.address import StoreOptions, Unfinished
from schemas.errors import StoreError
from schemas.object_errors import explained

RULE = "a lifecycle rule of the bucket that aborts incomplete multipart uploads removes them too"


def open_uploads(
    uri: str, scheme: str, bucket: str, prefix: str, options: StoreOptions
) -> Iterator[Unfinished]:
    """The open uploads below a prefix. Raises StoreError where they cannot be listed."""
    if scheme != "s3":
        raise StoreError(f"{uri}: open uploads are not listed on {scheme}://; {RULE}")
    client = _client(uri, options)
    from botocore.exceptions import BotoCoreError, ClientError

    folder = f"{prefix}/" if prefix else ""
    try:
        pages = client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=bucket, Prefix=folder):
            for item in page.get("Uploads", []):
                path = item["Key"].removeprefix(folder)
                yield Unfinished(path, item["UploadId"], item["Initiated"].timestamp())
    except (BotoCoreError, ClientError) as error:
        raise explained(error, "list the open uploads of", uri) from error


def abort_upload(uri: str, bucket: str, key: str, token: str, options: StoreOptions) -> None:
    """End one; one that is gone is no error."""
    client = _client(uri, options)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=token)
    except (BotoCoreError, ClientError) as error:
        if "NoSuchUpload" not in str(error):
            raise explained(error, "end an open upload of", uri) from error


def _client(uri: str, options: StoreOptions) -> Any:  # noqa: ANN401 - botocore has no types
    try:
        import botocore.session
        from botocore import UNSIGNED
        from botocore.config import Config
    except ImportError as error:
        raise StoreError(
            f"{uri}: open uploads are listed by botocore, which is not installed; "
            f"pip install 'voxmill[s3]'; {RULE}"
        ) from error
    style = "virtual" if options.virtual_hosted else "path"
    more = {"signature_version": UNSIGNED} if options.anonymous else {}
    config = Config(
        s3={"addressing_style": style},
        connect_timeout=min(10.0, options.timeout_s),
        read_timeout=options.timeout_s,
        retries={"mode": "standard", "total_max_attempts": 4},
        **more,
    )
    session = botocore.session.Session(profile=options.profile)
    return session.create_client(
        "s3", region_name=options.region, endpoint_url=options.endpoint, config=config
    )
