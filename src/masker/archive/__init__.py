"""Archives of transcripts, masked in batch: `masker scan`."""

from masker.archive.records import ArchiveError
from masker.archive.scan import Listener, Options, Summary, scan

__all__ = ["ArchiveError", "Listener", "Options", "Summary", "scan"]
