"""What users type: NAME=VALUE, NAME=V1,V2 and NAME=a:b:n."""

import tomllib
from typing import Any

from curriculode.theory.core.errors import InputError


def value(text: str) -> Any:
    """A value as TOML would read it; a bare word is a text."""
    text = text.strip()
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def assignment(text: str, option: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE."""
    name, equals, right = text.partition("=")
    if not equals or not name.strip() or not right.strip():
        raise InputError(f"{option} {text!r} is not understood; write NAME=VALUE, for instance student.width=8")
    return name.strip(), right.strip()


def names(text: str) -> list[str]:
    """Names separated by commas; those inside brackets, as in Q[0,1], belong to their name."""
    return [name.strip() for name in _split(text) if name.strip()]


def _split(text: str) -> list[str]:
    """The parts between commas that are in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter == "," and not depth and not quote:
            parts.append("")
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        parts[-1] += letter
    return parts


def changes(texts: list[str], option: str = "--set") -> dict[str, Any]:
    """Parameters changed by --set, or chosen by another option."""
    result: dict[str, Any] = {}
    for text in texts:
        name, right = assignment(text, option)
        if name in result:
            raise InputError(f"{option} {name} is given twice; give it once")
        result[name] = value(right)
    return result


def extent(text: str, option: str) -> tuple[Any, ...]:
    """A parameter and the ends of its range: NAME=a:b, or NAME=a:b:log for steps that are ratios."""
    name, right = assignment(text, option)
    parts = right.split(":")
    try:
        ends = float(parts[0]), float(parts[1])
        if len(parts) > 3 or (len(parts) == 3 and parts[2] != "log"):
            raise ValueError
    except (ValueError, IndexError):
        raise InputError(
            f"{option} {text!r} is not understood; write NAME=a:b, or NAME=a:b:log, such as levels.hard.noise=0.1:0.7"
        ) from None
    return (name, *ends, *parts[2:])


def grid(texts: list[str]) -> dict[str, list[Any]]:
    """Parameters varied by --over: a list V1,V2,... or a range a:b:n of n points from a to b."""
    result: dict[str, list[Any]] = {}
    for text in texts:
        name, right = assignment(text, "--over")
        if name in result:
            raise InputError(f"--over {name} is given twice; list all its values once, separated by commas")
        result[name] = values(right, text)
    return result


def values(text: str, given: str) -> list[Any]:
    """The values of one parameter."""
    parts = [text] if text.lstrip().startswith(("[", '"', "'")) else text.split(":")
    if len(parts) == 1:
        return [value(part) for part in _split(text)]
    try:
        first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
        if len(parts) != 3 or count < 1:
            raise ValueError
    except (ValueError, IndexError):
        raise InputError(
            f"--over {given!r} is not understood; a range is a:b:n, n points from a to b, such as 0.1:0.7:13"
        ) from None
    # Twelve digits: 0.3 and not 0.30000000000000004, in tables, and so that two ranges share the points they have in common.
    points = (
        [first] + [float(f"{first + (last - first) * i / (count - 1):.12g}") for i in range(1, count - 1)] + [last][: count - 1]
    )
    whole = all(part.strip().lstrip("+-").isdigit() for part in parts[:2]) and all(point == round(point) for point in points)
    return [int(point) for point in points] if whole else points
