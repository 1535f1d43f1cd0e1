"""Names of the files by which the parts of a run folder know each other."""

MANIFEST = "manifest.json"  # of trajectories and of a dataset: written last, counts and fingerprints
MODEL_CARD = "fireact.json"  # of a trained model: its base, renderer and tuning; written last, too
INPUTS = "inputs.json"  # the settings that shape a folder's content
EXPORTED = "export.json"  # of an exported folder: the files that we wrote there, by their content
