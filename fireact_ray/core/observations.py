"""Every observation that no tool wrote: the fixed lines shown for "nothing found" and for what went wrong.

An agent meets the same words in generation, evaluation and serving; no exception text ever reaches a model.
Each line is inert: `grammar.neutralise` leaves it as it is.
"""

from fireact_ray.core.types import Observation, ObservationStatus

NO_RESULTS = "No results found."
SEARCH_FAILED = "The search is unavailable right now."
INVALID_ACTION = "That was no valid action. Reply with a thought and one action, search[<query>] or finish[<answer>]."
UNKNOWN_TOOL = "There is no such tool. Use search[<query>] or finish[<answer>]."

_STATUS = {
    NO_RESULTS: ObservationStatus.EMPTY,
    SEARCH_FAILED: ObservationStatus.ERROR,
    INVALID_ACTION: ObservationStatus.ERROR,
    UNKNOWN_TOOL: ObservationStatus.ERROR,
}


def recorded(text: str) -> Observation:
    """The observation that a recorded text was: a catalogue line gets its status back."""
    return Observation(text, _STATUS.get(text, ObservationStatus.OK))
