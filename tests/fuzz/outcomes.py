"""What may come of bad input, and how much of it is tried.

Every attempt is `fine` (a result) or `refused` (an `InputError` of one sentence); anything else is a failure of the test. A run of
the suite tries a minute's worth; CURRICULODE_FUZZ multiplies the number of attempts (60 for about an hour), and
CURRICULODE_TEST_SEED draws others.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

from curriculode.theory.core.errors import InputError
from tests.conftest import SEED

SCALE = float(os.environ.get("CURRICULODE_FUZZ", "1"))
LONGEST = 300  # letters of a message
counts: Counter[str] = Counter()  # outcomes of this process, by test and class


def fuzzed(attempts: int) -> Callable:
    """Decorator of a hypothesis test: so many attempts (times CURRICULODE_FUZZ), drawn from the seed of the suite."""
    # The autouse fixture that keeps registrations apart runs once a test, which is what is wanted.
    health = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    options = settings(
        max_examples=max(1, round(attempts * SCALE)),
        deadline=None,
        database=None,
        suppress_health_check=health,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=False,
    )
    return lambda test: seed(SEED)(options(test))


def one_sentence(message: str) -> str:
    """`message`, if it is a sentence for a user: one line, not empty, at most 300 letters."""
    assert message.strip(), "an empty message"
    assert "\n" not in message, f"several lines: {message!r}"
    assert len(message) <= LONGEST, f"{len(message)} letters: {message!r}"
    assert "Traceback" not in message, message
    return message


def outcome(test: str, call: Callable[[], Any]) -> tuple[str, Any]:
    """("fine", what it returned) or ("refused", the message); any other exception goes on."""
    try:
        result = call()
    except InputError as error:
        counts[f"{test}: refused"] += 1
        return "refused", one_sentence(str(error))
    counts[f"{test}: fine"] += 1
    return "fine", result
