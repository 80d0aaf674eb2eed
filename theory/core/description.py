"""What a user describes: frozen, checked on construction, each mistake told in one sentence with its place."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from curriculode.theory.core.checks import plain
from curriculode.theory.core.errors import InputError, shown

# Beyond these no quantity of an experiment makes sense, and products of them leave the range of floating-point numbers.
SMALLEST, LARGEST = 1e-15, 1e6
_LEAST_PART = 1e-9  # of the inputs, in a block


def _not_tiny(value: float, info: ValidationInfo) -> float:
    if 0.0 < abs(value) < SMALLEST:
        raise InputError(
            f"{info.field_name} = {shown(value)} is not allowed; it must be at least {SMALLEST:g} (or 0 where that is allowed)"
        )
    return value


def _part(value: float, info: ValidationInfo) -> float:
    if 0.0 < value < _LEAST_PART or 0.0 < 1.0 - value < _LEAST_PART:
        raise InputError(
            f"{info.field_name} = {shown(value)} is not allowed; it must be 0, 1, or at least {_LEAST_PART:g} from both"
        )
    return value


NOT_TINY = AfterValidator(_not_tiny)
PART = AfterValidator(_part)


class Description(BaseModel):
    """Base of all descriptions (task, student, training, protocol, experiment, numerics): immutable, no unknown keys.

    Numbers may be numpy's, sequences may be arrays, tuples or pandas Series, and a whole number may be written as 4.0.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **data: Any) -> None:
        wholes = _whole_numbers(type(self))
        values = {}
        for key, value in data.items():
            value = plain(value)
            if key in wholes and isinstance(value, float) and value.is_integer():
                value = int(value)
            values[key] = value
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(type(self), error)) from None
        except TypeError as error:
            if "keywords must be strings" not in str(error):
                raise
            raise InputError(f"{type(self).__name__}: the names of settings must be texts, also in tables within it") from None


def _whole_numbers(kind: type[BaseModel]) -> set[str]:
    """Names of the settings that are whole numbers."""
    return {name for name, field in kind.model_fields.items() if field.annotation in (int, int | None)}


_LONGEST_NAME = 200  # letters; nothing near is looked for beyond


def unknown(what: str, given: Any, allowed: Sequence[str], listed: str = "") -> str:
    """Sentence for an unknown name, with the nearest allowed one first when it is near."""
    near = difflib.get_close_matches(given, allowed, n=1) if isinstance(given, str) and len(given) < _LONGEST_NAME else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{what} {shown(given)} is unknown{hint}; allowed: {listed or ', '.join(allowed)}"


_LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table of settings",
    "finite_number": "a finite number",
}


def sentence(kind: type[BaseModel], error: ValidationError) -> str:
    """All mistakes that pydantic found in a `kind`, as one sentence."""
    mistakes = error.errors()
    # Of a number that may have a name instead, what is wrong with the number is said, and not that it is no name.
    limited = {_place(mistake) for mistake in mistakes if mistake["type"] in (*_LIMITS, "value_error")}
    told = [mistake for mistake in mistakes if mistake["type"] != "literal_error" or _place(mistake) not in limited]
    return "; ".join(dict.fromkeys(_one(kind, mistake) for mistake in told))


def _place(mistake: Any) -> tuple[str, ...]:
    """Where a mistake is; pydantic names the branches of a union there too, of which a user has never heard."""
    parts = [str(part) for part in mistake["loc"]]
    return tuple(part for part in parts if not part.startswith(("function-", "constrained-", "literal["))) or ("",)


def _one(kind: type[BaseModel], mistake: Any) -> str:
    *parents, last = _place(mistake)
    place = ".".join([*parents, last])
    owner = kind.__name__ + (" " + ".".join(parents) if parents else "")
    given, context, code = mistake["input"], mistake.get("ctx", {}), mistake["type"]
    if code == "missing":
        return f"{owner} needs {last!r}"
    if code == "extra_forbidden":
        return unknown(f"{owner}: setting", last, list(kind.model_fields) if not parents else [])
    if code == "literal_error":
        allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return unknown(f"{kind.__name__}: {place}", given, allowed)
    if code == "is_instance_of":
        return f"{kind.__name__}: {place} = {shown(given)} is not allowed; it must be a {context['class']}"
    if code in _LIMITS:
        key, words = _LIMITS[code]
        return f"{kind.__name__}: {place} = {shown(given)} is not allowed; it must be {words} {context[key]}"
    if code in _TYPES:
        return f"{kind.__name__}: {place} = {shown(given)} is not allowed; it must be {_TYPES[code]}"
    if code == "value_error":
        return str(context["error"])
    return f"{kind.__name__}: {place} = {shown(given)} is not allowed: {mistake['msg'][0].lower() + mistake['msg'][1:]}"
