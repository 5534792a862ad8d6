"""Archives of transcripts, masked in batch: `masker scan`."""

from masker.errors import MissingExtraError

try:
    from masker.archive.records import ArchiveError
    from masker.archive.scan import Listener, Options, Summary, scan
except ModuleNotFoundError as error:
    if error.name not in {"msgspec", "pyarrow", "zstandard"}:
        raise
    raise MissingExtraError(extra="archive") from None

__all__ = ["ArchiveError", "Listener", "Options", "Summary", "scan"]
