"""AWS KMS as key provider: the root key never leaves the service.

Credentials, region and endpoint are found as boto3 finds them (environment, profile, role). The
context of a wrapped key goes with it as encryption context, so CloudTrail says which store was
opened when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masker.errors import KeysError, MissingExtraError

_TIMEOUT_SECONDS = 10
_ATTEMPTS = 3


class AwsKmsKeys:
    """Wraps under a symmetric key of AWS KMS, given by id, ARN or alias.

    `client` is a boto3 KMS client to use in place of one made from the environment.

    Raises:
        KeysError: the extra is not installed, or there is no region to ask.
    """

    def __init__(self, key_id: str, *, client: Any = None) -> None:
        self.name = f"aws-kms:{key_id}"
        self._key_id = key_id
        self._client = client if client is not None else _client()

    def __repr__(self) -> str:
        return f"AwsKmsKeys({self._key_id!r})"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap a key; the context becomes its encryption context."""
        answer = self._ask("encrypt", Plaintext=key, EncryptionContext=dict(context))
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The key that was wrapped under the same context."""
        answer = self._ask("decrypt", CiphertextBlob=wrapped, EncryptionContext=dict(context))
        return bytes(answer["Plaintext"])

    def destroy(self, wrapped: bytes) -> None:
        """KMS keeps nothing for one wrapped key; its own key is yours to schedule for deletion."""

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                KeyId=self._key_id, **arguments
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise KeysError(f"{self.name} refused to {operation}: {code}") from None
        except BotoCoreError as error:
            reason = type(error).__name__
            raise KeysError(f"{self.name} cannot be reached to {operation}: {reason}") from None
        return answer


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError:
        raise MissingExtraError(extra="aws") from None
    try:
        return boto3.client(
            "kms",
            config=Config(
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
            ),
        )
    except BotoCoreError as error:
        raise KeysError(
            f"AWS KMS cannot be asked: {type(error).__name__}; set AWS_DEFAULT_REGION or a profile"
        ) from None
