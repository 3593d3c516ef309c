"""One sentence out of what jsonargparse says on many lines."""

import re
from collections.abc import Iterator

from mixnash.core.errors import MixnashError

_KEY = re.compile(r'Parser key "([^"]+)":')
_CLASS = re.compile(
    r"Problem with given class_path '(?:[^']*\.)?([^']+)':|Type .* expects a function or a callable class:"
)
_OPTION = re.compile(r"(?:(?:Subcommand|Group '([^']+)') .*does not accept option|Option) '([^']+)'")
_FOUND = re.compile(r"Given value: (.{1,80})")
_END = ("Given value:", "Subclass types expect")
_NOISE = (
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value type:",
    "Expected a <class 'NoneType'>",
    "Expected a path but",
)


def cause_sentence(error: BaseException) -> str:
    """A sentence of ours that the parser wrapped, or what the parser says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MixnashError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return parse_sentence(str(error))


def parse_sentence(message: str) -> str:
    """A parser's message as one sentence that names the full path of the key.

    jsonargparse reports every level on the way down to the key, then the complaint, one for each type that would do,
    and then the whole value once per level. The path and the complaints say it all.
    """
    path: list[str] = []
    complaints: list[str] = []
    value = owner = ""
    for text in _pieces(message):
        if key := _KEY.match(text):
            path.append(key[1])
        elif named := _CLASS.match(text):
            path.append("init_args")
            owner = f" among those of {named[1]}" if named[1] else ""
        elif option := _OPTION.match(text):
            path += [part for part in option.groups() if part]
            return f"There is no option {'.'.join(path)!r}: check its spelling and its place{owner}."
        elif text.startswith(_END):
            found = _FOUND.fullmatch(text)
            value = f", found {found[1]}" if found else ""
            break
        elif not text.startswith(_NOISE):
            complaints.append(_complaint(text))
    where = ".".join(path).removesuffix(".init_args")
    first, *others = dict.fromkeys(complaints or ["not understood"])
    joint = " or " if where else " "  # a list of types that would do, or one text on several lines
    what = joint.join([first, *(other.removeprefix("Expected ") for other in others)]).rstrip(".") + value
    return f"{where}: {what}." if where else f"{what}."


def _pieces(message: str) -> Iterator[str]:
    """Lines without indentation and bullets; what stands behind a key or a class on its line comes by itself."""
    for line in message.splitlines():
        text = line.strip().removeprefix("- ")
        while lead := _KEY.match(text) or _CLASS.match(text):
            yield lead[0]
            text = text[lead.end() :].strip()
        if text:
            yield text


def _complaint(text: str) -> str:
    expected, *values = text.split(". Got value: ")
    plain = re.sub(r"an? <class '(?:\w+\.)*(\w+)'>", r"\1", expected)
    plain = re.sub(r"dot import path string: .*", "class path", plain)
    plain = re.sub(r"(Not a valid subclass of \w+)", r"\1, expected class_path and init_args and nothing beside", plain)
    return f"{plain}, found {values[0]}" if values and len(values[0]) <= 80 else plain
