"""The wallet: documents that departments issued, shown to those they belong to."""
