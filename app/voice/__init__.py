"""Words in, meaning out. `intents` understands speech, `amounts` reads and says sums of money,
`dialogue` decides what happens next and `replies` words it. Pure: nothing here does I/O but read the
dialects' data files."""

from app.voice.intents import Candidate, Decision, Intent, State, Understanding, understand
from app.voice.vocabulary import command_characters

__all__ = ["Candidate", "Decision", "Intent", "State", "Understanding", "command_characters", "understand"]
