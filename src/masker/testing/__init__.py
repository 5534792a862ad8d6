"""Rules put to the test, and what tests of masking need: `pip install 'masker[testing]'`.

Strategies (`numbers`, `written_numbers`, `cuts`, `scripts`, `conversations`, `arrivals`), the
promises as functions, the leak counter, fakes, and `check_packs`, which is `masker rules check`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from masker.errors import MissingExtraError

if TYPE_CHECKING:
    from masker.testing.check import Settings, check_packs, check_rule
    from masker.testing.explain import explain
    from masker.testing.fakes import FakeBuffers, FakeClock
    from masker.testing.leaks import LeakCounter, play
    from masker.testing.promises import PROMISES, Broken, Trial, keep_all
    from masker.testing.results import Problem, Result, RuleResult
    from masker.testing.scenes import Scene, Sent, Timeline, conversations
    from masker.testing.strategies import arrivals, numbers
    from masker.testing.writing import Written, bare, cuts, parts_of, scripts, written_numbers

__all__ = [
    "PROMISES",
    "Broken",
    "FakeBuffers",
    "FakeClock",
    "LeakCounter",
    "Problem",
    "Result",
    "RuleResult",
    "Scene",
    "Sent",
    "Settings",
    "Timeline",
    "Trial",
    "Written",
    "arrivals",
    "bare",
    "check_packs",
    "check_rule",
    "conversations",
    "cuts",
    "explain",
    "keep_all",
    "numbers",
    "parts_of",
    "play",
    "scripts",
    "written_numbers",
]

_HOMES = {
    "check": ("Settings", "check_packs", "check_rule"),
    "explain": ("explain",),
    "fakes": ("FakeBuffers", "FakeClock"),
    "leaks": ("LeakCounter", "play"),
    "promises": ("PROMISES", "Broken", "Trial", "keep_all"),
    "results": ("Problem", "Result", "RuleResult"),
    "scenes": ("Scene", "Sent", "Timeline", "conversations"),
    "strategies": ("arrivals", "numbers"),
    "writing": ("Written", "bare", "cuts", "parts_of", "scripts", "written_numbers"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # pytest loads the plugin beside this wherever masker is installed, hypothesis or not.
    if name not in _HOME:
        raise AttributeError(name)
    try:
        return getattr(import_module(f"masker.testing.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise MissingExtraError(extra="testing") from None
