"""The rows of a dataset as a training worker reads them: mapped from a copy on the disk of its machine."""
